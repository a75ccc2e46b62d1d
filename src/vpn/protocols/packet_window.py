"""Which numbers a peer has used: a window that slides along with the highest (as in RFC 6479)."""

from __future__ import annotations

SIZE = 2048
"""Numbers behind the highest that may still come."""
_MASK = (1 << SIZE) - 1


class Window:
    """The numbers of one session's datagrams, which count up and may come in any order, each once."""

    __slots__ = ("_seen", "highest")

    def __init__(self) -> None:
        self.highest = -1
        """The highest number that has come; -1: none has."""
        self._seen = 0  # bit n: the number n below the highest has come

    def accept(self, number: int) -> bool:
        """Whether this number comes for the first time, and not too late; it has come, then.

        To be asked about authentic datagrams only.
        """
        ahead = number - self.highest
        if ahead > 0:
            self._seen = (self._seen << ahead | 1) & _MASK if ahead < SIZE else 1
            self.highest = number
            return True
        if ahead <= -SIZE:
            return False
        bit = 1 << -ahead
        if self._seen & bit:
            return False
        self._seen |= bit
        return True
