"""Whose stream is it, where nothing says so: the users' keys are tried one after the other.

First those of the users who came last from the same address, which is one of them nearly always. A newcomer waits in
a queue, in which all addresses have their turns, and each turn is some keys: neither thousands of users nor a storm of
garbage holds up what else the worker does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from vpn.protocols.errors import ProtocolError
from vpn.protocols.shadowsocks_header import Beginning
from vpn.proxy.keyring import UserKey
from vpn.proxy.poller import Poller

SLICE = 32
"""Keys tried in one turn of the loop: about a third of a millisecond."""
MOST_WAITING = 1024
MOST_WAITING_THERE = 16  # of one address
MOST_SOURCES = 8192  # addresses whose users are remembered
MOST_USERS = 4  # of one address

Attempt = Callable[[UserKey], "Beginning | ProtocolError | None"]
"""Tries a key: what it opens; that it is the right one, and something else is wrong; None: it is another one."""


class Found(NamedTuple):
    """A key that is the right one, and what it opens."""

    key: UserKey
    outcome: Beginning | ProtocolError


class _Trial(NamedTuple):
    attempt: Attempt
    keys: Iterator[UserKey]
    done: Callable[[Found | None], None]


class Recognition:
    """Tries keys, those first that are likely."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._waiting: dict[int, deque[_Trial]] = {}
        self._count = 0
        self._seen: dict[int, tuple[str, ...]] = {}

    def recent(self, source: int) -> tuple[str, ...]:
        """Who came last from this address (vpn.proxy.accounts.source_key), the latest first."""
        return self._seen.get(source, ())

    def remember(self, source: int, user: str) -> None:
        """This user came from there."""
        seen = self._seen.pop(source, ())
        if not seen or seen[0] != user:
            seen = (user, *[each for each in seen if each != user])[:MOST_USERS]
            if len(self._seen) >= MOST_SOURCES:
                del self._seen[next(iter(self._seen))]
        self._seen[source] = seen

    def wait(
        self, source: int, attempt: Attempt, keys: Iterator[UserKey], done: Callable[[Found | None], None]
    ) -> bool:
        """Try all these keys by and by, and call `done` with the right one; False: too many are waiting already."""
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
