"""The YAML that Clash's successors take: mihomo, Clash Verge, FlClash, Stash and others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from vpn.links.documents.clash_proxies import proxy_of
from vpn.links.documents.nodes import Node, named
from vpn.links.documents.profile import Usage

GROUP = "Proxy"
_TAKEN = (GROUP, "DIRECT", "REJECT", "REJECT-DROP", "PASS", "COMPATIBLE", "GLOBAL")  # names that are something else

Value: TypeAlias = "str | int | bool | Sequence[Value] | Mapping[str, Value]"


def write(nodes: Sequence[Node], _usage: Usage | None = None) -> str:
    """All nodes that mihomo can use, one group to choose from, and one rule: everything goes there.

    Without any, everything is refused: nothing that should be hidden goes out openly.
    """
    proxies = [proxy for node in named(nodes, _TAKEN) if (proxy := proxy_of(node)) is not None]
    names = [str(proxy["name"]) for proxy in proxies] or ["REJECT"]
    lines = ["mode: rule", "proxies:" if proxies else "proxies: []"]
    lines += [f"  - {_flow(proxy)}" for proxy in proxies]
    lines += ["proxy-groups:", f"  - {_flow({'name': GROUP, 'type': 'select', 'proxies': names})}"]
    lines += ["rules:", f"  - {_flow(f'MATCH,{GROUP}')}"]
    return "\n".join(lines) + "\n"


def _flow(value: Value) -> str:
    """A value as YAML in one line.

    All texts are quoted: which of 1e3, no, 0777 and ~ are texts depends on who reads, and passwords look like that.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(map(_escape, value)) + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    return "[" + ", ".join(map(_flow, value)) + "]"


def _escape(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
