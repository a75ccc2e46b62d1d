"""Bans as one worker sees them: who is turned away, and what the worker itself knows of right and wrong passwords."""

from __future__ import annotations

from collections.abc import Callable

from vpn.domain.bans import lies_in, source_subject
from vpn.domain.network import Network, parse_networks
from vpn.domain.user import canonical
from vpn.proxy import control
from vpn.proxy.counters import WorkerCounters
from vpn.proxy.poller import Poller

GATHER = 0.1  # seconds that attempts are gathered for before they are told
MOST_GATHERED = 1024  # different ones; then they are told at once
TOLD_FOR = 3600.0  # seconds that a right password need not be told again ...
MOST_TOLD = 4096  # ... while these are not too many


class Bans:
    """Who is banned, as the daemon says, and who fails here, for the daemon to judge.

    Args:
        tell: sends a message to the daemon.
        counters: count who is turned away; None: nobody does.
    """

    def __init__(
        self, poller: Poller, tell: Callable[[control.Attempts], None], counters: WorkerCounters | None = None
    ) -> None:
        self._counters = counters or WorkerCounters()
        self._poller = poller
        self._tell = tell
        self._sources: frozenset[str] = frozenset()
        self._users: dict[str, frozenset[str]] = {}
        self._trusted: tuple[Network, ...] = ()
        self._failed: dict[tuple[str, str], int] = {}
        self._succeeded: set[tuple[str, str]] = set()
        self._told: set[tuple[str, str]] = set()
        self._told_until = 0.0

    def replace(self, bans: control.Bans) -> None:
        """Turn away these from now on, and no others."""
        self._sources = frozenset(bans.sources)
        self._users = {user: frozenset(sources) for user, sources in bans.users.items()}
        self._trusted = parse_networks(bans.trusted)

    def source_banned(self, host: str) -> bool:
        """Whether a client from this address is turned away."""
        banned = bool(self._sources) and source_subject(host) in self._sources
        if banned:
            self._counters.sources_banned += 1
        return banned

    def user_banned(self, name: str, host: str) -> bool:
        """Whether this user is turned away, coming from this address."""
        if not self._users:
            return False
        exempt = self._users.get(canonical(name))
        banned = exempt is not None and source_subject(host) not in exempt and not lies_in(self._trusted, host)
        self._counters.users_banned += banned
        return banned

    def tried(self, name: str, host: str, accepted: bool) -> None:
        """A password was judged here, without the daemon."""
        attempt = (name, host)
        if not accepted:
            self._gather()
            self._failed[attempt] = self._failed.get(attempt, 0) + 1
        elif attempt not in self._told or self._told_until <= self._poller.now:
            if len(self._told) >= MOST_TOLD or self._told_until <= self._poller.now:
                self._told.clear()
                self._told_until = self._poller.now + TOLD_FOR
            self._gather()
            self._told.add(attempt)
            self._succeeded.add(attempt)

    def _gather(self) -> None:
        """See to it that what is added now will be told."""
        if len(self._failed) + len(self._succeeded) >= MOST_GATHERED:
            self._flush()
        if not self._failed and not self._succeeded:
            self._poller.call_later(GATHER, self._flush)

    def _flush(self) -> None:
        if self._failed or self._succeeded:
            failed = [control.Attempt(name, host, times) for (name, host), times in self._failed.items()]
            succeeded = [control.Attempt(name, host) for name, host in self._succeeded]
            self._tell(control.Attempts(failed, succeeded))
            self._failed.clear()
            self._succeeded.clear()
