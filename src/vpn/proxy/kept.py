"""A destination's connection that is kept for the client's next HTTP request."""

from __future__ import annotations

from vpn.domain.session import Session
from vpn.proxy.connector import Reached
from vpn.proxy.core import Core
from vpn.proxy.stream import DONTWAIT


class Kept:
    """Leads where a session went, and is the same user's.

    It is closed when the destination says anything: there is no request it could answer.
    """

    __slots__ = ("_core", "_host", "_port", "_reached", "_user", "upstream")

    def __init__(self, core: Core, reached: Reached, session: Session) -> None:
        self._core = core
        self._reached: Reached | None = reached
        self._host = session.host
        self._port = session.port
        self._user = session.user
        self.upstream = session.upstream
        core.poller.hand_over(reached.stream.fileno(), self._on_event)
        self._on_event(0)  # its end may have come with the response, and is not told again

    def reaches(self, host: str, port: int, user: str) -> bool:
        """Whether it leads there, is this user's, and still stands."""
        return (host, port, user) == (self._host, self._port, self._user) and self._stands()

    def take(self) -> Reached:
        """Use it; `reaches` said that it can be."""
        reached, self._reached = self._reached, None
        assert reached is not None
        return reached

    def close(self) -> None:
        """Keep it no longer."""
        if self._reached is not None:
            self._core.poller.close(self._reached.stream)
            self._reached = None

    def _on_event(self, mask: int) -> None:
        if not self._stands():
            self.close()

    def _stands(self) -> bool:
        """Whether it is open, and says nothing."""
        if self._reached is None:
            return False
        try:
            self._reached.stream.recv(1, DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False
