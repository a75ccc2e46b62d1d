"""Whose is it, where nothing says so: the users' keys are tried one after the other.

First those of the users who came last from the same address (vpn.proxy.visitors), which is one of them nearly always.
A newcomer, a stream or a datagram, waits in a queue, in which all addresses have their turns, and each turn is some
keys: neither thousands of users nor a storm of garbage holds up what else the worker does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from vpn.proxy.keyring import UserKey
from vpn.proxy.poller import Poller

SLICE = 32
"""Keys tried in one turn of the loop: about a third of a millisecond."""
MOST_WAITING = 1024
MOST_WAITING_THERE = 16  # of one address
BURST = 4.0  # seconds for whose keys there may be tokens after a pause
_PAUSE = 0.05  # seconds until there are some again

Outcome = TypeVar("Outcome")


class Found(NamedTuple, Generic[Outcome]):
    """A key that is the right one, and what it opens."""

    key: UserKey
    outcome: Outcome


class _Trial(NamedTuple, Generic[Outcome]):
    attempt: Callable[[UserKey], Outcome | None]
    keys: Iterator[UserKey]
    done: Callable[[Found[Outcome] | None], None]


class Recognition(Generic[Outcome]):
    """Tries keys.

    Args:
        rate: keys that may be tried in a second; 0: any number.
    """

    def __init__(self, poller: Poller, rate: int = 0) -> None:
        self._poller = poller
        self._rate = rate
        self._tokens = BURST * rate
        self._filled = poller.now
        self._waiting: dict[int, deque[_Trial[Outcome]]] = {}
        self._count = 0

    def wait(
        self,
        source: int,
        attempt: Callable[[UserKey], Outcome | None],
        keys: Iterator[UserKey],
        done: Callable[[Found[Outcome] | None], None],
    ) -> bool:
        """Try all these keys by and by, and call `done` with the right one; False: too many are waiting already.

        Args:
            attempt: tries a key; None: it is another one.
        """
        if self._count >= MOST_WAITING:
            return False
        there = self._waiting.get(source)
        if there is None:
            there = self._waiting[source] = deque()
        elif len(there) >= MOST_WAITING_THERE:
            return False
        there.append(_Trial(attempt, keys, done))
        self._count += 1
        if self._count == 1:
            self._poller.soon(self._turn)
        return True

    def _turn(self) -> None:
        """Some keys of the first one of the address whose turn it is."""
        if self._rate and not self._take_tokens():
            self._poller.call_later(_PAUSE, self._turn)
            return
        source = next(iter(self._waiting))
        there = self._waiting.pop(source)
        trial = there[0]
        found, tried = None, 0
        for key in islice(trial.keys, SLICE):
            tried += 1
            outcome = trial.attempt(key)
            if outcome is not None:
                found = Found(key, outcome)
                break
        self._tokens -= tried
        over = found is not None or tried < SLICE
        if over:
            there.popleft()
            self._count -= 1
        if there:
            self._waiting[source] = there  # behind all others
        if self._count:
            self._poller.soon(self._turn)
        if over:
            trial.done(found)

    def _take_tokens(self) -> bool:
        """Whether a slice may be tried now."""
        now = self._poller.now
        self._tokens = min(BURST * self._rate, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        return self._tokens >= SLICE
