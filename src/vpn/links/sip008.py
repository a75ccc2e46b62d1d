"""SIP008: a document with Shadowsocks servers, which clients fetch again and again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

from vpn.links import shadowsocks
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.links.uri import Form

MOST_SERVERS = 1000
_FORM = Form(
    "SIP008 document, or one", (), '{"version": 1, "servers": [{"server": …, "server_port": …, "password": …}]}'
)
_NAMESPACE = uuid.UUID("1b8f7a5e-6a55-5c0f-9c86-2f0f4f8f3f11")


def build(servers: Sequence[ShadowsocksLink], used: int | None = None, remaining: int | None = None) -> str:
    """Write the document; `used` and `remaining` are bytes, None: nothing is said of them.

    A server's id stays the same as long as its place, method and name do.
    """
    document: dict[str, object] = {"version": 1, "servers": [_written(each) for each in servers]}
    if used is not None:
        document["bytes_used"] = used
    if remaining is not None:
        document["bytes_remaining"] = remaining
    return json.dumps(document, ensure_ascii=False, indent=2)


def parse(text: str) -> tuple[ShadowsocksLink, ...]:
    """The servers of a document.

    Raises:
        Invalid: it is none, or one of its servers is wrong.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _FORM.error("it is not JSON") from None
    servers = found.get("servers") if isinstance(found, dict) else None
    if not isinstance(servers, list) or len(servers) > MOST_SERVERS or found.get("version") != 1:
        raise _FORM.error(f"it does not say version 1 and have a list of at most {MOST_SERVERS} servers")
    return tuple(_read(number, server) for number, server in enumerate(servers, 1))


def _written(link: ShadowsocksLink) -> dict[str, object]:
    plugin, _, options = link.plugin.partition(";")
    return {
        "id": str(uuid.uuid5(_NAMESPACE, f"{link.host} {link.port} {link.method} {link.name}")),
        "remarks": link.name,
        "server": link.host,
        "server_port": link.port,
        "password": link.password,
        "method": link.method,
    } | ({"plugin": plugin, "plugin_opts": options} if plugin else {})


def _read(number: int, server: object) -> ShadowsocksLink:
    texts = ("method", "password", "server", "remarks", "plugin", "plugin_opts")
    if not isinstance(server, dict) or not all(isinstance(server.get(key, ""), str) for key in texts):
        raise _FORM.error(f"server {number} is none")
    method, password, host, name, plugin, options = (str(server.get(key, "")) for key in texts)
    port = server.get("server_port")
    if not isinstance(port, int) or isinstance(port, bool):
        raise _FORM.error(f"server {number} has no port")
    plugin = f"{plugin};{options}" if options else plugin
    return ShadowsocksLink(shadowsocks.canonical(method), password, host, port, name, plugin)
