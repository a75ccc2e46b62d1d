"""A destination's connection that is kept for the client's next HTTP request."""

from __future__ import annotations

from vpn.proxy.connector import Reached
from vpn.proxy.core import Core
from vpn.proxy.stream import DONTWAIT


class Kept:
    """Belongs to one client, and is closed when the destination says anything: there is no request it could answer."""

    __slots__ = ("_core", "_host", "_port", "_reached", "_user")

    def __init__(self, core: Core, reached: Reached, host: str, port: int, user: str) -> None:
        self._core = core
        self._reached: Reached | None = reached
        self._host = host
        self._port = port
        self._user = user
        core.poller.hand_over(reached.stream.fileno(), lambda mask: self._look())
        self._look()  # its end may have come with the response, and is not told again

    def _look(self) -> None:
        """See whether it says something, or has ended."""
        if self._reached is not None:
            try:
                self._reached.stream.recv(1, DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                pass
            self.close()

    def reaches(self, host: str, port: int, user: str) -> bool:
        """Whether it leads there, and is this user's."""
        return self._reached is not None and (host, port, user) == (self._host, self._port, self._user)

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
