"""What pictures that are refreshed have in common: their keys, their first and last line, and what is wrong."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from vpn.api.client import APIError, Unreachable
from vpn.cli.output import cell_width
from vpn.cli.screen import Line, Size

PATIENCE = 5.0  # seconds that the daemon may take for an answer


class LiveView(ABC):
    """A picture, and what the keys make of it: q quits, s sorts by the next of `orders`, p pauses."""

    def __init__(self, orders: Sequence[str]) -> None:
        self.orders = orders
        self.order = orders[0]
        self._paused = False
        self._trouble = ""

    @abstractmethod
    def fetch(self) -> None:
        """Get what is to be shown."""

    @abstractmethod
    def draw(self, room: Size) -> list[Line]:
        """The picture, for a terminal of this size."""

    @property
    def note(self) -> str:
        """What is wrong, or that it is paused; or nothing."""
        return self._trouble or ("paused" if self._paused else "")

    def fetch_if_wanted(self) -> None:
        """Get what is new; where there is no answer, the picture stays, and says so."""
        if not self._paused:
            self._try_to_fetch()

    def on_key(self, key: str) -> bool:
        """Do what a key means; returns whether to go on."""
        if key == "s":
            self.order = following(self.orders, self.order)
            self._try_to_fetch()
        elif key == "p":
            self._paused = not self._paused
        return key != "q"

    def _try_to_fetch(self) -> None:
        try:
            self.fetch()
            self._trouble = ""
        except (Unreachable, APIError) as error:
            self._trouble = error.message


def following(orders: Sequence[str], order: str) -> str:
    """The order after this one."""
    return orders[(orders.index(order) + 1) % len(orders)]


def title(left: str, timestamp: str, columns: int, style: str = "title") -> Line:
    """The first line, with the time of day at its end."""
    right = f"{clock(timestamp)} "
    return Line(left + " " * max(1, columns - cell_width(left) - cell_width(right)) + right, style)


def keys(orders: Sequence[str], order: str) -> Line:
    """The last line."""
    return Line(f" q quit   s sort by {following(orders, order)} (now {order})   p pause or go on", "faint")


def clock(timestamp: str) -> str:
    """The time of day of a moment, here."""
    return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S")
