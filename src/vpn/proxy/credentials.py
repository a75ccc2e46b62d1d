"""May this user come in?

The hot path is one lookup of a verdict remembered. The rest is asked of the daemon: it alone holds the
password hashes and spends the milliseconds they take, so a storm of wrong passwords does not stop the
data plane, and what one worker learnt every worker's client finds known.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from itertools import count

from vpn.domain.remembered import Remembered
from vpn.domain.user import canonical
from vpn.proxy.control import DISABLED, SnapshotUser, Verdict, Verify
from vpn.proxy.counters import WorkerCounters

MOST_WAITING = 1024  # clients whose password is with the daemon; more are turned away

Answer = Callable[[bool], None]
Tried = Callable[[str, str, bool], None]
"""User, source address, and whether the password was right."""


class Credentials:
    """Passwords as one worker sees them.

    Args:
        ask: sends a message to the daemon.
        tried: told of passwords that are judged without asking.
        counters: count the verdicts; None: nobody does.
    """

    def __init__(self, ask: Callable[[Verify], None], tried: Tried, counters: WorkerCounters | None = None) -> None:
        self._counters = counters or WorkerCounters()
        self._ask = ask
        self._tried = tried
        self._users: dict[str, SnapshotUser] = {}
        self._remembered = Remembered(secrets.token_bytes(32))
        self._numbers = count(1)
        self._waiting: dict[int, tuple[str, str, Answer]] = {}

    def replace_users(self, users: list[SnapshotUser]) -> frozenset[str]:
        """Work from these users from now on; returns who has another key, by the name as it is compared."""
        before, self._users = self._users, {canonical(user.name): user for user in users}
        return frozenset(
            name
            for name, user in self._users.items()
            if user.shadowsocks and name in before and before[name].shadowsocks not in ("", user.shadowsocks)
        )

    @property
    def users(self) -> Mapping[str, SnapshotUser]:
        """The users, by their names as they are compared; another object whenever they are replaced."""
        return self._users

    def known(self, name: str) -> bool:
        """Whether a user bears this name."""
        return canonical(name) in self._users

    def user(self, name: str) -> SnapshotUser | None:
        """The user of this name; None: nobody bears it."""
        return self._users.get(canonical(name))

    def allowed(self, name: str) -> bool:
        """Whether this user exists and may connect."""
        user = self._users.get(canonical(name))
        return user is not None and not user.blocked

    def check(self, name: str, password: str, source: str, now: float, answer: Answer) -> bool | None:
        """The verdict, if it is known; else None, and `answer` is called with it later.

        `source` is the address that the client comes from.
        """
        user = self._users.get(canonical(name))
        if user is not None:
            verdict = self._remembered.recall(name, password, user.credential, now)
            if verdict is not None:
                self._tried(name, source, verdict)
                if verdict and user.blocked != DISABLED:
                    self._counters.accepted_remembered += 1
                    return True
                self._counters.refused_remembered += 1
                return False
        # A name that nobody bears is asked about as well: the time an answer takes tells no names.
        if len(self._waiting) >= MOST_WAITING:
            self._counters.refused_unasked += 1
            return False
        number = next(self._numbers)
        self._waiting[number] = (name, password, answer)
        self._ask(Verify(number, name, password, source))
        return None

    def settle(self, verdict: Verdict, now: float) -> None:
        """The daemon answered."""
        waiting = self._waiting.pop(verdict.id, None)
        if waiting is None:
            return  # not a question of ours
        name, password, answer = waiting
        user = self._users.get(canonical(name))
        if user is None or user.credential != verdict.credential:
            accepted = False  # the user went, or got another password, while this one was being verified
        else:
            self._remembered.remember(name, password, verdict.credential, verdict.accepted, now)
            accepted = verdict.accepted and user.blocked != DISABLED
        self._counters.accepted_asked += accepted
        self._counters.refused_asked += not accepted
        answer(accepted)
