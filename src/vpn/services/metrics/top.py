"""A bounded number of things by name, and all the others together.

A counter must never go back, and there must never be too many of them. So a thing that is shown counts for itself
from then on, what it had moved before having been counted with the others; and one that has to give its place to
another keeps its count, and goes on from there should it be shown again.
"""

from __future__ import annotations

from heapq import nlargest, nsmallest

OTHER = "other"
EVER = 20
"""For each place, how many things may have it in the life of the daemon; after that the shown ones stay."""


class Count:
    """What one series counts."""

    __slots__ = ("received", "sent", "sessions")

    def __init__(self) -> None:
        self.sessions = 0
        self.sent = 0
        self.received = 0


class Row:
    """A thing that we know."""

    __slots__ = ("count", "own", "score")

    def __init__(self, count: Count) -> None:
        self.count = count
        """Where it is counted: with its own, or with the others."""
        self.own: Count | None = None
        """There is one once it has been shown."""
        self.score = 0.0
        """Bytes, those of a while ago for less."""


class Top:
    """Counts things, and shows those that move the most.

    Args:
        places: how many are shown at most.
        most: how many are known at most; beyond that those are forgotten that have moved the least.
    """

    def __init__(self, places: int, most: int) -> None:
        self._places = places
        self._most = most
        self._most_ever = min(places * EVER, most // 2)  # the others must be many enough to be forgotten
        self.rows: dict[str, Row] = {}
        self.other = Count()
        self._shown: dict[str, Row] = {}
        self._ever = 0

    def add(self, name: str) -> Row:
        """A thing that is not known yet. While there are free places, it gets one."""
        if len(self.rows) >= self._most:
            self._forget()
        row = self.rows[name] = Row(self.other)
        if len(self._shown) < self._places and name != OTHER:
            self._show(name, row)
        return row

    def elect(self) -> None:
        """Give places of things that are shown to things that move twice as much, a few at a time.

        Call this about once a minute: what was moved a minute ago counts half.
        """
        waiting = ((name, row) for name, row in self.rows.items() if row.count is self.other and name != OTHER)
        best = nlargest(self._places // 4 + 1, waiting, key=lambda each: each[1].score)
        worst = nsmallest(len(best), self._shown.items(), key=lambda each: each[1].score)
        for (name, row), (last, loser) in zip(best, worst, strict=False):
            may = row.own is not None or self._ever < self._most_ever
            if may and row.score > 2 * loser.score:
                self._shown.pop(last).count = self.other
                self._show(name, row)
        for row in self.rows.values():
            row.score /= 2

    def counts(self) -> list[tuple[str, Count]]:
        """What is shown, the others last."""
        return [*((name, row.count) for name, row in self._shown.items()), (OTHER, self.other)]

    def _show(self, name: str, row: Row) -> None:
        if row.own is None:
            row.own = Count()
            self._ever += 1
        row.count = row.own
        self._shown[name] = row

    def _forget(self) -> None:
        """Make room: the lesser half goes, but not who has a count."""
        least = sorted((name for name, row in self.rows.items() if row.own is None), key=lambda n: self.rows[n].score)
        for name in least[: len(least) // 2 + 1]:
            del self.rows[name]
