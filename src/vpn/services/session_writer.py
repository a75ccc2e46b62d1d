"""Sessions that ended, from the journals into the store, in batches: nothing lost, nothing twice.

A journal keeps what has been written to it until it is told that this is safe. With the sessions of a batch the
store keeps how far each journal has been stored, in one transaction; so a batch whose outcome was not heard is
written again without harm, by this daemon or by the next one. What waits meanwhile is kept by
vpn.services.session_queue.

Rows of sessions that were live when a daemon was killed are closed when everything is stored that it left behind,
which says more of most of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import structlog

from vpn.domain.errors import Unavailable
from vpn.domain.session import Session, show_id
from vpn.proxy.journal import Journal
from vpn.services.live_sessions import LiveSessions
from vpn.services.session_files import Leftovers, begin_journal
from vpn.services.session_queue import SessionQueue
from vpn.services.session_spill import Block, SessionSpill
from vpn.services.tracing import NoTracer, Tracer
from vpn.settings.sessions import SessionSettings
from vpn.store.sessions import Batch, SessionStore

RETRY = 1.0  # seconds after a batch that could not be written
PROMPT = 1.0  # seconds that what was left behind may hold up a start; the rest is stored while we serve
PATIENCE = 5.0  # seconds that a store may hold up the end
GIVE_WAY = 0.15  # seconds between two batches at most, so that there is time for others
_AWAY = "sessions cannot be stored now"
QUIET = 10.0  # seconds between two lines about the same trouble


class WriterState(msgspec.Struct, frozen=True):
    """How the writing stands; what is counted is so since the start."""

    waiting: int
    """Sessions in memory that are to be stored."""
    spilled: int
    """Sessions on disk that are to be stored."""
    spilled_bytes: int
    lost: int
    """Sessions that were not stored and never will be: there was no room, or they were damaged or refused."""
    written: int
    """Sessions that were stored; some of them twice, which leaves one row."""
    batches: int
    last_seconds: float
    """How long the last batch took."""
    total_seconds: float
    failing: bool
    """Whether the last attempt failed."""


FRESH = 1.0  # seconds for which what is stored of live sessions is new enough for who asks
ASKING = 2.0  # seconds that who asks waits for what is new
MOST_SETTLED = 2000  # live sessions that are stored because somebody asks


class SessionWriter:
    """Gathers sessions, and writes them. `open` it, `run` it, and `close` it at the end.

    Args:
        directory: where the journals lie.
        live: sessions of which something is stored while they last.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        directory: Path,
        store: SessionStore,
        live: LiveSessions,
        settings: SessionSettings,
        clock: Callable[[], float],
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer or NoTracer()
        self._directory = directory
        self._store = store
        self._live = live
        self._settings = settings
        self._clock = clock
        self._spill = SessionSpill(directory, settings.spill_size)
        self._queue = SessionQueue(self._spill, settings.batch_size)
        self._left: set[int] | None = set()
        """Journals of an earlier daemon; None: all of that is stored."""
        self._asking: asyncio.Future[Any] | None = None
        """What the store has been asked for, if it has not answered yet."""
        self._checked = 0.0
        """When what live sessions have moved was stored last, on the loop's clock."""
        self._running = False
        self._askers: list[asyncio.Future[None]] = []
        self._hear: Callable[[], Awaitable[object]] | None = None
        self._wake = asyncio.Event()
        self._counted = WriterState(0, 0, 0, 0, 0, 0, 0.0, 0.0, failing=False)
        self._told: dict[str, float] = {}
        self._told_lost = 0
        self._log = structlog.get_logger("sessions")

    async def open(self, workers: int) -> list[int]:
        """Take what an earlier daemon left behind, and begin new journals: a descriptor for each worker.

        Raises:
            Unavailable: there is no place for them, or the store cannot be reached; nothing is lost.
        """
        fds: list[int] = []
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._spill.open()
            leftovers = Leftovers(self._directory, self._spill)
            leftovers.gather(self._clock())
            for number in range(workers):
                size = self._settings.journal_size
                fds.append(begin_journal(self._directory, number, size, leftovers.latest))
        except OSError as error:
            for fd in fds:
                os.close(fd)
            hint = "is there space, and may we write there?"
            raise Unavailable("journals_unusable", f"{self._directory}: {error.strerror}", hint) from None
        self._left = leftovers.journals | self._spill.journals()
        for journal in self._left:
            self._queue.positions[journal] = await self._store.position(journal)
        await self._catch_up()
        return fds

    def take(self, journal: Journal, sessions: list[Session]) -> None:
        """Write these, which have just been read from the journal, soon."""
        self._queue.take(journal, sessions)
        if self._queue.waiting >= self._settings.batch_size:
            self._wake.set()
        self._tell_lost()

    def unstored(self) -> Iterator[Session]:
        """The sessions that ended and wait in memory."""
        return self._queue.unstored(self._store.reached)

    @property
    def state(self) -> WriterState:
        """How it stands."""
        return msgspec.structs.replace(
            self._counted,
            waiting=self._queue.waiting,
            spilled=self._spill.sessions,
            spilled_bytes=self._spill.size,
            lost=self._lost(),
        )

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        self._checked = asyncio.get_running_loop().time()
        self._running = True
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.batch_interval):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._round()
            except Exception as error:
                # Whatever it was, sessions go on ending.
                self._complain(error)
                await asyncio.sleep(RETRY)
            self._tell_lost()

    async def flush(self) -> None:
        """Write everything that waits.

        Raises:
            Unavailable: the store cannot be reached; nothing is lost.
        """
        while await self._step():
            pass

    def hear_first(self, hear: Callable[[], Awaitable[object]]) -> None:
        """Before somebody who asks is answered, call this, which lets the workers report."""
        self._hear = hear

    async def settle(self) -> None:
        """Somebody asks: write what waits, and how far live sessions have come unless there are too many.

        Who asks is not kept for long, nor while the store is away: then the answer is a little older.
        """
        if not self._running or self._counted.failing:
            return
        if self._hear is not None:
            await self._hear()
        done = asyncio.get_running_loop().create_future()
        self._askers.append(done)
        self._wake.set()
        await asyncio.wait({done}, timeout=ASKING)

    async def close(self) -> None:
        """The workers have ended: write the rest. What cannot be written now is at the next start."""
        self._running = False
        try:
            async with asyncio.timeout(PATIENCE):
                if self._asking is not None:
                    await asyncio.wait({self._asking})
                await self.flush()
        except Exception as error:
            if not isinstance(error, TimeoutError):
                self._complain(error)
            left = self._queue.waiting + self._spill.sessions
            self._log.warning("sessions are left for the next start", sessions=left, reason=str(error) or "no answer")
        self._tell_lost(at_once=True)
        self._spill.close()

    async def _round(self) -> None:
        """Write what waits, and what comes meanwhile."""
        while await self._turn():
            pass

    async def _turn(self) -> bool:
        """Write what waits at this moment, and answer who has asked by now; False: nothing waits any more."""
        askers, self._askers = self._askers, []
        interval = self._settings.checkpoint_interval
        try:
            more = True
            batches = 1 + self._queue.waiting // self._settings.batch_size
            while more and batches:
                batches -= 1
                more = await self._step()
                await asyncio.sleep(min(self._counted.last_seconds / 3, GIVE_WAY) if more else 0)
            few = len(self._live) <= MOST_SETTLED
            await self._checkpoint(min(FRESH, interval) if askers and few else interval)
            return more
        finally:
            for asker in askers:
                if not asker.done():
                    asker.set_result(None)

    async def _checkpoint(self, interval: float) -> None:
        """Store what live sessions have moved, if that was so many seconds ago."""
        now = asyncio.get_running_loop().time()
        if self._settings.enabled and self._left is None and now - self._checked >= interval:
            self._checked = now
            await self._ask(self._store.checkpoint(list(self._live)))

    async def _catch_up(self) -> None:
        """Store what was left behind, as far as that goes quickly."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PROMPT
        try:
            while await self._step() and loop.time() < deadline:
                pass
        except Exception as error:
            self._complain(error)  # it is tried again when we serve

    async def _step(self) -> bool:
        """Write one batch; False: nothing waits."""
        try:
            blocks = self._queue.next()
        except OSError as error:
            raise Unavailable("spill_unreadable", f"{self._directory}: {error.strerror}", "is the disk well?") from None
        if blocks:
            await self._write(blocks)
        if self._left is not None and not any(map(self._spill.end, self._left)):
            await self._ask(self._settle(self._left))
            self._left = None
            self._queue.positions.clear()
        return bool(blocks)

    async def _write(self, blocks: list[Block]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            with self._tracer.span("sessions.write", {"vpn.sessions": sum(len(each.sessions) for each in blocks)}):
                await self._ask(self._store.write([Batch(each.journal, each.end, each.sessions) for each in blocks]))
        except Exception as error:
            self._count(failing=True)
            if isinstance(error, Unavailable) and error.code != "database_failed":
                raise
            if not self._queue.divide():
                await self._refuse(blocks[0], error)
            return
        self._queue.done()
        counted, seconds = self._counted, loop.time() - began
        self._count(
            written=counted.written + sum(len(each.sessions) for each in blocks),
            batches=counted.batches + 1,
            last_seconds=seconds,
            total_seconds=counted.total_seconds + seconds,
            failing=False,
        )
        if self._told.pop(_AWAY, None) is not None:
            self._log.info("sessions are stored again", waiting=self._queue.waiting + self._spill.sessions)

    async def _refuse(self, block: Block, error: Exception) -> None:
        """A session cannot be stored. If it is not the store that cannot store anything, go on without it."""
        await self._ask(self._store.write([Batch(block.journal, block.end, [])]))
        self._queue.done()
        self._queue.lost += 1
        self._log.error("a session cannot be stored", session=show_id(block.sessions[0].id), reason=str(error))

    async def _settle(self, journals: set[int]) -> None:
        """Everything is stored that an earlier daemon left behind."""
        await self._store.close_active("daemon_died", self._clock())
        for journal in journals:
            await self._store.forget(journal)

    async def _ask(self, question: Coroutine[Any, Any, None]) -> None:
        """Ask the store for something. It goes on if we are cancelled, so that a store that hangs holds up nobody."""
        self._asking = asyncio.ensure_future(question)
        await asyncio.shield(self._asking)

    def _count(self, **changes: Any) -> None:
        self._counted = msgspec.structs.replace(self._counted, **changes)

    def _lost(self) -> int:
        return self._queue.lost + self._spill.lost

    def _tell_lost(self, *, at_once: bool = False) -> None:
        """Say how many sessions were lost since that was said last."""
        lost = self._lost() - self._told_lost
        if lost and (self._may_tell("lost") or at_once):
            self._told_lost += lost
            self._log.error("sessions are lost", sessions=lost, reason=self._queue.trouble or "see above")

    def _complain(self, error: Exception) -> None:
        state = self.state
        if not isinstance(error, Unavailable):
            if self._may_tell("defect"):
                self._log.error("defect while storing sessions", exc_info=error)
        elif self._may_tell(_AWAY):
            self._log.warning(_AWAY, reason=error.message, waiting=state.waiting, spilled=state.spilled)

    def _may_tell(self, event: str) -> bool:
        """Whether this has not been said a moment ago."""
        now = asyncio.get_running_loop().time()
        if now < self._told.get(event, 0.0):
            return False
        self._told[event] = now + QUIET
        return True
