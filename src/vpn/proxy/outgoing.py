"""How connections go out of one worker: directly, or through upstreams."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vpn.domain.egress import Egress
from vpn.domain.session import Session
from vpn.proxy.connector import Connector, Outcome

if TYPE_CHECKING:
    from vpn.proxy.core import Core


class Outgoing:
    """Chooses the way."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.private_destinations = False

    def configure(self, egress: Egress) -> None:
        """Go out this way from now on."""
        self.private_destinations = egress.private_destinations

    def connect(self, host: str, port: int, session: Session, done: Callable[[Outcome], None]) -> Connector:
        """Begin to connect; `done` is called once, perhaps before this returns, unless it is cancelled."""
        connector = Connector(self._core, host, port, done)
        connector.start()
        return connector

    def udp_refused(self, host: str, port: int, user: str) -> str:
        """Why a datagram may not go out; empty: it may."""
        return ""
