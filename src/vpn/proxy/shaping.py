"""How much of a user's bytes may go now: one token bucket per user and direction, which all workers share.

The bucket is a single cell of shared memory (vpn.proxy.meter): the moment up to which the user's rate is spent.
As far as it lies in the past, at most as far as the burst allows, so much may go; every byte moves it on by the
time that the byte takes at the rate. So connections and workers need not agree on anything, and a new rate
holds from the next look.

All workers write that cell, without a lock: where two do so within the same microsecond, one of the two reads
goes unaccounted. That is rare enough not to be measurable, and nothing else depends on the cell: what users
have moved is counted in cells of one writer each.

A flow asks its lane before it reads. Where nothing may go it is not read, which is the backpressure, and waits
for its turn. The connections of one user take turns.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol

from vpn.proxy.poller import Timer

ENDLESS = 1 << 30
"""Bytes that may go where nothing is shaped: more than anybody reads at once."""
LEAST_BURST = 2048
_SECOND = 1_000_000_000  # in the unit of the cells
_USUAL_BURST = 16 * 1024  # bytes, or more where the rate is high:
_BURST_TIME = 0.02  # seconds whose bytes may go at once
_LATE = 0.005  # seconds that a worker may be late; a burst below what goes meanwhile would lose some of the rate
_QUANTUM = 8 * 1024  # bytes for which it is worth waking up, or more where the rate is high:
_QUANTUM_TIME = 0.002
_RECHECK = 0.05  # seconds after which a flow that waits sees that the rate has changed
_ABSURD = 3600 * _SECOND  # no debt is that deep: the cell is of another clock
_TELL = 0.2  # seconds between two words to the daemon that somebody has to wait


class Clock(Protocol):
    """What a lane needs of a poller."""

    now: float

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call once, `seconds` from now."""


class Lanes:
    """What the lanes of one worker have in common.

    Args:
        cells: the memory of all workers (vpn.proxy.meter).
        clock: the worker's poller.
        tell: called now and then while somebody has to wait.
    """

    def __init__(self, cells: memoryview, clock: Clock, tell: Callable[[], None]) -> None:
        self.cells = cells
        self.clock = clock
        self._tell = tell
        self._told = 0.0
        self.waits = 0
        """How often the flows of a lane had to wait."""
        self.waited = 0.0
        """Seconds of that."""

    def note_hungry(self, cell: int) -> None:
        """Somebody has to wait, which is counted in this cell."""
        self.cells[cell] += 1
        if self.clock.now - self._told >= _TELL:
            self._told = self.clock.now
            self._tell()


class Lane:
    """One direction of one user in one worker, for all his connections there.

    Args:
        lanes: the worker's.
        rate: the cell in which the daemon says how many bytes per second may go; 0: any number.
        spent: the cell of the moment up to which the rate is spent, in nanoseconds of the monotonic clock.
        moved: this worker's cell for the bytes that went.
        hungry: this worker's cell for how often somebody had to wait.
    """

    __slots__ = (
        "_asked",
        "_burst",
        "_cells",
        "_clock",
        "_hungry",
        "_lanes",
        "_measured",
        "_moved",
        "_quantum",
        "_rate",
        "_spent",
        "_timer",
        "_turn",
        "_waiting",
    )

    def __init__(self, lanes: Lanes, rate: int, spent: int, moved: int, hungry: int) -> None:
        self._lanes = lanes
        self._cells = lanes.cells
        self._clock = lanes.clock
        self._rate = rate
        self._spent = spent
        self._moved = moved
        self._hungry = hungry
        self._asked = 0
        self._measured = 0  # the rate that these two are for
        self._burst = 0  # in nanoseconds
        self._quantum = 0
        self._turn = 0  # what the flow may move whose turn it is
        self._waiting: dict[object, Callable[[], None]] = {}
        self._timer: Timer | None = None

    def set_burst(self, burst: int) -> None:
        """From now on so many bytes may go at once after a pause; 0: what is usual at the rate."""
        self._asked = burst
        self._measured = 0

    def allowance(self) -> int:
        """How many bytes may go now; 0: none, and `wait` says when."""
        rate = self._cells[self._rate]
        return self._shaped(rate) if rate else ENDLESS

    def count(self, size: int) -> None:
        """So many bytes went; they may be more than was allowed, which delays those that follow."""
        cells = self._cells
        cells[self._moved] += size
        rate = cells[self._rate]
        if rate:
            cells[self._spent] = self._used(rate) + size * _SECOND // rate

    def wait(self, flow: object, go_on: Callable[[], None]) -> None:
        """Call `go_on` once when it is this flow's turn."""
        self._waiting[flow] = go_on
        if self._timer is None:
            self._wake_later()

    def holds_back(self, flow: object) -> bool:
        """Whether the flow waits for its turn."""
        return flow in self._waiting

    def cancel(self, flow: object) -> None:
        """The flow does not wait any more."""
        self._waiting.pop(flow, None)

    def _shaped(self, rate: int) -> int:
        if self._turn:
            turn, self._turn = self._turn, 0
            return turn
        if self._waiting:
            return 0
        room = self._room(rate)
        return room if room >= self._quantum else 0

    def _used(self, rate: int) -> int:
        """The moment up to which the rate is spent."""
        if rate != self._measured:
            self._measure(rate)
        now = int(self._clock.now * _SECOND)
        spent = self._cells[self._spent]
        fullest = now - self._burst
        return max(spent, fullest) if spent < now + _ABSURD else fullest

    def _room(self, rate: int) -> int:
        """The bytes that may go; below nothing where more went than might."""
        return (int(self._clock.now * _SECOND) - self._used(rate)) * rate // _SECOND

    def _measure(self, rate: int) -> None:
        """What may go at once, and for how much a flow wakes up."""
        burst = max(self._asked or max(_USUAL_BURST, rate * _BURST_TIME), LEAST_BURST, rate * _LATE)
        self._burst = int(burst * _SECOND / rate)
        self._quantum = int(min(burst / 2, max(_QUANTUM, rate * _QUANTUM_TIME)))
        self._measured = rate

    def _wake_later(self) -> None:
        self._lanes.note_hungry(self._hungry)
        rate = self._cells[self._rate]
        seconds = (self._quantum - self._room(rate)) / rate if rate else 0.0
        # Workers that wait for the same bytes must not be first again and again: each is a little late at random.
        seconds *= 1 + random.random() / 2  # noqa: S311 -- not a secret
        seconds = min(max(seconds, 0.0), _RECHECK)
        self._lanes.waits += 1
        self._lanes.waited += seconds
        self._timer = self._clock.call_later(seconds, self._wake)

    def _wake(self) -> None:
        """Let those go on who wait, one after the other, while there is something for them."""
        self._timer = None
        try:
            for _ in range(len(self._waiting)):
                rate = self._cells[self._rate]
                room = self._room(rate) if rate else 0
                if not self._waiting or (rate and room < self._quantum):
                    break
                self._turn = max(self._quantum, room // len(self._waiting)) if rate else 0
                self._waiting.pop(next(iter(self._waiting)))()
        finally:
            self._turn = 0
            if self._waiting and self._timer is None:
                self._wake_later()
