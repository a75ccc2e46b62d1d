"""Taking turns at something scarce: who stands better goes first."""

from __future__ import annotations

import asyncio
from itertools import count

Standing = tuple[int, int]
"""What is held against somebody (0: nothing), and a second opinion. The smaller one is the better."""


class Ticket:
    """One who waits. The standing may get better meanwhile."""

    __slots__ = ("number", "standing", "turn")

    def __init__(self, standing: Standing, number: int) -> None:
        self.standing = standing
        self.number = number
        self.turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def rank(self) -> tuple[Standing, int]:
        """Of two that stand alike, the one who came first goes first."""
        return self.standing, self.number


class Turns:
    """Some places, and a bounded queue before them.

    Args:
        places: how many may have their turn at once.
        reserved: how many of these are for those against whom nothing is held.
        most: how many may wait; beyond that whoever stands worst is sent away.
    """

    def __init__(self, places: int, *, reserved: int, most: int) -> None:
        self._free = places
        self._reserved = reserved
        self._most = most
        self._waiting: list[Ticket] = []
        self._numbers = count()

    def ask(self, standing: Standing) -> Ticket:
        """Line up. `turn` of the ticket becomes True, after which `give` is called, or False: sent away."""
        ticket = Ticket(standing, next(self._numbers))
        self._waiting.append(ticket)
        self._call()
        if len(self._waiting) > self._most:
            worst = max(self._waiting, key=lambda each: each.rank)
            self._waiting.remove(worst)
            worst.turn.set_result(False)
        return ticket

    def give(self) -> None:
        """A turn is over."""
        self._free += 1
        self._call()

    def _call(self) -> None:
        """Let those in for whom there are places."""
        self._waiting = [each for each in self._waiting if not each.turn.cancelled()]
        while self._free and self._waiting:
            best = min(self._waiting, key=lambda each: each.rank)
            if best.standing[0] and self._free <= self._reserved:
                return
            self._waiting.remove(best)
            self._free -= 1
            best.turn.set_result(True)
