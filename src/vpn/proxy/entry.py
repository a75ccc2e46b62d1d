"""An inbound as one worker serves it."""

from __future__ import annotations

from vpn.domain.address import pack
from vpn.domain.inbound import Inbound
from vpn.domain.network import any_holds, parse_networks
from vpn.proxy.limits import Places
from vpn.proxy.speakers import speakers_of


class Entry:
    """What the connections of one inbound have in common. It does not change: a changed inbound is a new entry.

    Args:
        number: tells its listening sockets from all others.
        inbound: what is served there.
        everything: the places of all inbounds together.
        places: this inbound's.
    """

    __slots__ = ("_everything", "_open_to", "_places", "_trusted", "inbound", "number", "speakers", "timeouts")

    def __init__(self, number: int, inbound: Inbound, everything: Places, places: Places) -> None:
        self.number = number
        self.inbound = inbound
        self.timeouts = inbound.timeouts
        self.speakers = speakers_of(inbound)
        self._everything = everything
        self._places = places
        self._open_to = parse_networks(inbound.open_to)
        self._trusted = parse_networks(inbound.trusted_proxies)

    def take_place(self) -> bool:
        """Whether one more client may come in; if so, `give_place` when it is gone."""
        if not self._everything.take():
            return False
        if not self._places.take():
            self._everything.give()
            return False
        return True

    def give_place(self) -> None:
        """A client is gone."""
        self._everything.give()
        self._places.give()

    def admitted(self, host: str) -> str:
        """Who a client from this address is without credentials; empty: nobody."""
        if not self._open_to:
            return ""
        packed = pack(host.partition("%")[0])
        return self.inbound.anonymous_user if packed and any_holds(self._open_to, packed) else ""

    @property
    def plain(self) -> bool:
        """Whether clients begin with what they want: there is neither TLS, nor a load balancer, nor Shadowsocks."""
        return self.inbound.tls is None and not self._trusted and not self.sealed

    @property
    def sealed(self) -> bool:
        """Whether what clients say has to be opened first, and whose it is to be found out by that: Shadowsocks."""
        return self.inbound.protocol == "shadowsocks"

    def trusts(self, host: str) -> bool:
        """Whether this is a load balancer, which says for whom it comes."""
        if not self._trusted:
            return False
        packed = pack(host.partition("%")[0])
        return packed is not None and any_holds(self._trusted, packed)
