"""Which protocols an inbound speaks, and by which first byte they are told apart."""

from __future__ import annotations

import string
from functools import partial
from typing import NamedTuple, Protocol

from vpn.domain.inbound import Inbound
from vpn.protocols import http1, shadowsocks, socks4, socks5, socks_address
from vpn.protocols.events import Parser
from vpn.protocols.reader import Reader


class Parse(Protocol):
    """What makes a parser."""

    def __call__(self, reader: Reader, *, admitted: bool) -> Parser:
        """A parser of what is fed to the reader."""


class Speaker(NamedTuple):
    """A protocol: its name and its parser."""

    protocol: str
    parse: Parse


Speakers = dict[int, Speaker]
"""First byte -> who speaks."""

_LETTERS = string.ascii_letters.encode()
_HTTP = dict.fromkeys(_LETTERS, Speaker("http", http1.parse))
_SOCKS = {socks4.VERSION: Speaker("socks4", socks4.parse), socks5.VERSION: Speaker("socks5", socks5.parse)}
_SHADOWSOCKS = dict.fromkeys(
    (socks_address.IPV4, socks_address.NAME, socks_address.IPV6), Speaker("shadowsocks", shadowsocks.parse)
)

# Inbound protocol -> who speaks. A new protocol is a row here.
PROTOCOLS: dict[str, Speakers] = {
    "mixed": _SOCKS | _HTTP,
    "socks": _SOCKS,
    "http": _HTTP,
    "shadowsocks": _SHADOWSOCKS,  # of what was opened (vpn.proxy.unsealing)
}


def speakers_of(inbound: Inbound) -> Speakers:
    """Who speaks on this inbound."""
    speakers = PROTOCOLS[inbound.protocol]
    if inbound.via:
        http = Speaker("http", partial(http1.parse, via=inbound.via))
        speakers = {byte: http if byte in _LETTERS else speaker for byte, speaker in speakers.items()}
    return speakers
