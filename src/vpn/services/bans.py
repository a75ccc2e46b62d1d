"""Who is banned: by failures or by hand; told to the workers, and kept over a restart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from vpn.domain.bans import (
    Ban,
    BanRules,
    Failures,
    Kind,
    Subject,
    check_reason,
    parse_subject,
    source_subject,
    user_subject,
)
from vpn.domain.errors import Conflict, Invalid, NotFound, Unavailable
from vpn.proxy.control import Attempts, Bans
from vpn.store.bans import BanStore

GATHER = 0.05  # seconds that changes are gathered for before they are told and stored
RETRY = 1.0  # seconds until a change that could not be stored is stored again
MOST_BANS = 10_000  # at once; beyond that the one goes that would end first
LONGEST = 10 * 365 * 86400  # seconds of a ban by hand
BY_HAND = "by hand"

Publish = Callable[[Bans], Awaitable[None]]


class BanService:
    """Counts failures, and bans. `load` it before anything else.

    Failures change what is in force here at once, at the workers and in the store a moment later. What a
    person changes is stored and in force when the method returns.

    Args:
        clock: the present moment, with a time zone.
    """

    def __init__(self, store: BanStore, rules: BanRules, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._failures = Failures(rules)
        self._bans: dict[Subject, Ban] = {}
        self._unwritten: set[Subject] = set()
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._publish: Publish | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("bans")

    async def load(self) -> None:
        """Go on with what is stored.

        Raises:
            Unavailable: the store cannot be read.
        """
        for ban in await self._store.all():
            self._bans[ban.kind, ban.subject] = ban
            for source in ban.exempt:
                self._failures.familiar.see(source, ban.subject, self._now())
        await self.configure(self._failures.rules)
        self._lapse()
        await self._write()

    async def start(self, publish: Publish) -> None:
        """Tell this one from now on, and let bans end when their time is over."""
        self._publish = publish
        await self._tell()
        self._keeper = asyncio.create_task(self._keep())
        self._keeper.add_done_callback(self._complain)

    async def close(self) -> None:
        """Tell no more; what is not stored yet is stored."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._write_if_possible()

    async def configure(self, rules: BanRules) -> None:
        """Work by these rules from now on. Who is trusted now is banned no more."""
        self._failures.rules = rules
        for kind, subject in [key for key in self._bans if key[0] == "source" and rules.trusts(key[1])]:
            self._lift(kind, subject)
        await self._tell()

    # --- what passwords tell

    def hear(self, attempts: Attempts) -> None:
        """What a worker judged by itself."""
        for each in attempts.failed:
            self.failed(each.source, each.user, each.times)
        for each in attempts.succeeded:
            self.succeeded(each.source, each.user)

    def failed(self, host: str, name: str, times: int = 1) -> None:
        """Wrong passwords came from an address."""
        if self._exempt(host):
            return
        source, user, now = source_subject(host), user_subject(name), self._now()
        for _ in range(times):
            if ("source", source) in self._bans:
                return
            for ban in self._failures.record(source, "" if ("user", user) in self._bans else user, now):
                self._add(ban)

    def succeeded(self, host: str, name: str) -> None:
        """The right password came from an address."""
        self._failures.succeeded(source_subject(host), user_subject(name), self._now())

    def refuses(self, host: str, name: str) -> bool:
        """Whether this client is banned."""
        source = source_subject(host)
        ban = self._bans.get(("user", user_subject(name)))
        by_name = ban is not None and source not in ban.exempt and not self._failures.rules.trusts(host)
        return by_name or ("source", source) in self._bans

    def delay(self, host: str, name: str) -> float:
        """Seconds by which this client is slowed."""
        if self._exempt(host):
            return 0.0
        return self._failures.delay(source_subject(host), user_subject(name), self._now())

    def familiar(self, host: str, name: str) -> bool:
        """Whether the user's right password has come from there."""
        return self._failures.familiar.knows(source_subject(host), user_subject(name), self._now())

    def failures(self, kind: Kind, subject: str) -> int:
        """How many are counted against a subject at present."""
        return self._failures.count(kind, subject, self._now())

    # --- what people want

    def page(self, *, page: int, page_size: int) -> tuple[list[Ban], int]:
        """One page of bans, the newest first, counted from 1, and how many there are in all."""
        newest = sorted(self._bans.values(), key=lambda ban: (-ban.created_at.timestamp(), ban.kind, ban.subject))
        return newest[(page - 1) * page_size : page * page_size], len(newest)

    def counts(self) -> dict[str, int]:
        """How many bans there are, by kind."""
        counts = {"source": 0, "user": 0}
        for kind, _ in self._bans:
            counts[kind] += 1
        return counts

    async def add(self, text: str, *, seconds: int, kind: Kind | None = None, reason: str = "") -> Ban:
        """Ban an address or a user by hand, in the place of a ban there may be. Open connections go on.

        Raises:
            Invalid: this is nobody, or the time is too short or too long.
            Conflict: the address is trusted.
            Unavailable: it cannot be stored; nothing has changed.
        """
        kind, subject = parse_subject(text, kind)
        if not 0 < seconds <= LONGEST:
            raise Invalid("bad_duration", "a ban is of 1 second to 10 years", "give a time within that, such as 1h")
        if kind == "source" and self._failures.rules.trusts(subject):
            raise Conflict("source_trusted", f"{subject} is in a trusted network", "take it out of bans.trusted first")
        now = self._clock()
        until = now + timedelta(seconds=seconds)
        reason = check_reason(reason) or BY_HAND
        ban = Ban(kind=kind, subject=subject, reason=reason, failures=0, created_at=now, until=until)
        async with self._writing:
            await self._store.write([ban])
            self._add(ban)
            self._unwritten.discard((kind, subject))
        await self._tell()
        return ban

    async def remove(self, text: str, kind: Kind | None = None) -> Ban:
        """Lift a ban, and forget the failures that led to it.

        Raises:
            Invalid: this is nobody.
            NotFound: there is no such ban.
            Unavailable: it cannot be stored; nothing has changed.
        """
        key = parse_subject(text, kind)
        if key not in self._bans:
            raise NotFound("ban_unknown", f"{key[1]} is not banned", "list bans with: vpn bans list")
        ban = self._bans[key]
        await self._remove([key])
        return ban

    async def clear(self) -> int:
        """Lift all bans; returns how many there were.

        Raises:
            Unavailable: it cannot be stored; nothing has changed.
        """
        keys = list(self._bans)
        await self._remove(keys)
        return len(keys)

    async def _remove(self, keys: list[Subject]) -> None:
        async with self._writing:
            await self._store.write([], keys)
            for kind, subject in keys:
                if (kind, subject) in self._bans:  # it may have ended meanwhile
                    self._lift(kind, subject)
                self._unwritten.discard((kind, subject))
        await self._tell()

    # --- keeping

    def _exempt(self, host: str) -> bool:
        rules = self._failures.rules
        return not rules.enabled or rules.trusts(host)

    def _now(self) -> float:
        return self._clock().timestamp()

    def _add(self, ban: Ban) -> None:
        self._bans[ban.kind, ban.subject] = ban
        self._unwritten.add((ban.kind, ban.subject))
        if len(self._bans) > MOST_BANS:
            first = min(self._bans.values(), key=lambda each: each.until)
            self._lift(first.kind, first.subject)
        self._changed.set()
        seconds = round((ban.until - ban.created_at).total_seconds())
        named = {ban.kind: ban.subject, "reason": ban.reason, "failures": ban.failures, "seconds": seconds}
        self._log.warning("banned", **named)

    def _lift(self, kind: Kind, subject: str) -> None:
        del self._bans[kind, subject]
        self._failures.forget(kind, subject)
        self._unwritten.add((kind, subject))
        self._changed.set()
        self._log.info("ban lifted", **{kind: subject})

    def _lapse(self) -> None:
        """Bans whose time is over. That they were is not forgotten: the next one is longer."""
        now = self._clock()
        for key in [key for key, ban in self._bans.items() if ban.until <= now]:
            del self._bans[key]
            self._unwritten.add(key)
            self._log.info("ban ended", **{key[0]: key[1]})

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience()):
                    await self._changed.wait()
            await asyncio.sleep(GATHER)
            self._changed.clear()
            self._lapse()
            await self._tell()
            await self._write_if_possible()

    def _patience(self) -> float | None:
        """Seconds until there is something to do though nothing changes."""
        if self._unwritten:
            return RETRY
        ends = min((ban.until for ban in self._bans.values()), default=None)
        return None if ends is None else max((ends - self._clock()).total_seconds(), 0.0)

    async def _tell(self) -> None:
        if self._publish is not None:
            sources = [subject for kind, subject in self._bans if kind == "source"]
            users = {subject: list(ban.exempt) for (kind, subject), ban in self._bans.items() if kind == "user"}
            await self._publish(Bans(sources, users, [str(network) for network in self._failures.rules.trusted]))

    async def _write_if_possible(self) -> None:
        try:
            await self._write()
        except Unavailable as error:
            self._log.warning("bans cannot be stored", reason=error.message, hint=error.hint)

    async def _write(self) -> None:
        async with self._writing:
            keys, self._unwritten = self._unwritten, set()
            if not keys:
                return
            try:
                kept = [self._bans[key] for key in keys if key in self._bans]
                await self._store.write(kept, [key for key in keys if key not in self._bans])
            except BaseException:
                self._unwritten |= keys
                raise

    def _complain(self, keeper: asyncio.Task[None]) -> None:
        if not keeper.cancelled() and keeper.exception() is not None:
            self._log.critical("bans are no longer kept", exc_info=keeper.exception())
