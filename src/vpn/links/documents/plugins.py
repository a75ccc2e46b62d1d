"""SIP003 plugins, as links name them: ``obfs-local;obfs=http;obfs-host=example.com``."""

from __future__ import annotations

from typing import NamedTuple

_NAMES = {"obfs-local": "obfs-local", "simple-obfs": "obfs-local", "v2ray-plugin": "v2ray-plugin"}


class Plugin(NamedTuple):
    """A plugin that other programs have built in."""

    name: str
    """``obfs-local`` or ``v2ray-plugin``."""
    text: str
    """Its options, as they stand in the link."""
    options: dict[str, str]


def plugin_of(text: str) -> Plugin | None:
    """The plugin of a link; None: it is none of those, has options with escapes, or a mode that is not built in."""
    name, _, rest = text.partition(";")
    known = _NAMES.get(name)
    if known is None or "\\" in rest:
        return None
    pairs = (each.partition("=") for each in rest.split(";") if each)
    options = {key: value for key, _, value in pairs}
    if known == "obfs-local":
        built_in = options.get("obfs") in ("http", "tls")
    else:
        built_in = options.get("mode", "websocket") == "websocket"
    # One server that a client refuses would cost its user all of them.
    return Plugin(known, rest, options) if built_in else None
