"""Counts that never go back, from counts that do when one of those who count begins anew."""

from __future__ import annotations

from collections.abc import Hashable


class Steady:
    """Follows counts, and keeps what they lose."""

    def __init__(self) -> None:
        self._last: dict[Hashable, float] = {}
        self._lost: dict[Hashable, float] = {}

    def follow(self, key: Hashable, value: float) -> float:
        """The present value of a count, with all that it has ever lost."""
        lost = self._lost.get(key, 0) + max(0, self._last.get(key, 0) - value)
        self._lost[key] = lost
        self._last[key] = value
        return value + lost
