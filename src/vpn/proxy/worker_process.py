"""One worker process after the other, for one place in the group."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from typing import assert_never

import msgspec

from vpn.proxy.channel import Channel
from vpn.proxy.control import (
    Applied,
    Attempts,
    Bans,
    Cut,
    Drain,
    HasCut,
    Hungry,
    Listen,
    Listens,
    Log,
    Ready,
    Refuses,
    Report,
    Rules,
    RulesApplied,
    Snapshot,
    SnapshotUser,
    ToDaemon,
    Tracing,
    UpstreamReport,
    Verdict,
    Verify,
    merge_upstreams,
)
from vpn.proxy.counters import added
from vpn.proxy.journal import Journal
from vpn.proxy.journal_reader import JournalReader
from vpn.proxy.surroundings import Surroundings, WorkerStatus

MOST_UNREAD = 64  # messages that a worker may leave unread; it hangs, and keeps clients waiting that others could serve
LONGEST_BACKOFF = 5.0  # seconds between two starts of a worker that keeps dying
_NOTHING = Report(0, 0, 0, 0)

# A worker allocates one big buffer and then small things: without this glibc would keep an arena for each
# thread of a library and never return what a burst of clients took.
_MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "131072"}


class WorkerProcess:
    """Keeps one worker running, and talks with it.

    Args:
        surroundings: shared by all workers.
        number: the place in the group, from 0.
    """

    def __init__(self, surroundings: Surroundings, number: int) -> None:
        self._surroundings = surroundings
        self._number = number
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel[ToDaemon] | None = None
        self._ready = asyncio.Event()
        self._applying: dict[tuple[type, int], asyncio.Future[None]] = {}
        self._listen_waits: list[asyncio.Future[None]] = []
        self._ban_waits: list[asyncio.Future[None]] = []
        self._cut_waits: dict[int, asyncio.Future[int]] = {}
        self._probe: asyncio.Future[int] | None = None
        self._known: set[int] = set()
        self._verifying: set[asyncio.Task[None]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._restarts = 0
        journal = Journal(surroundings.journals[number])
        self._sessions = JournalReader(journal, number, surroundings.daemon.sessions, surroundings.daemon.log)
        self.report = _NOTHING
        self.past = _NOTHING
        """What the processes that died had counted."""

    @property
    def alive(self) -> bool:
        """Whether there is a process to talk to."""
        return self._channel is not None

    async def start(self) -> None:
        """Start the process, keep it running from now on, and wait until it listens."""
        await self._spawn()
        self._watcher = asyncio.create_task(self._watch())
        await self._ready.wait()

    def apply(self, message: Snapshot | Rules) -> asyncio.Future[None]:
        """Send a snapshot, or the rules; the future is done when the worker works from it, or is gone."""
        assert self._channel is not None
        applied = asyncio.get_running_loop().create_future()
        self._applying[type(message), message.version] = applied
        self._send(message)
        return applied

    def listen(self, drain: float) -> asyncio.Future[None]:
        """Tell the process which inbounds to serve; the future is done when it does, or is gone."""
        assert self._channel is not None
        self._channel.send(self._listening(drain), self._fresh_sockets())
        done = asyncio.get_running_loop().create_future()
        self._listen_waits.append(done)
        return done

    def ban(self, bans: Bans) -> asyncio.Future[None]:
        """Tell the process whom to turn away; the future is done when it does, or is gone."""
        assert self._channel is not None
        self._send(bans)
        done = asyncio.get_running_loop().create_future()
        self._ban_waits.append(done)
        return done

    def cut(self, cut: Cut) -> asyncio.Future[int]:
        """Let the process close sessions; the future has how many these were when it has, or is gone."""
        assert self._channel is not None
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._cut_waits[cut.number] = done
        self._send(cut)
        return done

    def trace(self, tracing: Tracing) -> None:
        """Tell the process how many sessions to trace."""
        assert self._channel is not None
        self._channel.send(tracing)

    def probe(self, number: int) -> asyncio.Future[int]:
        """Ask the process whether it is awake; the future is done when it says so, or is gone.

        While it has not answered it is not asked again: what is sent to a process that hangs is kept for it.
        """
        if self._probe is None or self._probe.done():
            self._probe = self.cut(Cut(number, ""))
        return self._probe

    @property
    def sessions(self) -> JournalReader:
        """What is known of its sessions."""
        return self._sessions

    def _listening(self, drain: float) -> Listen:
        listening = [each.listening(self._number) for each in self._surroundings.bound]
        return Listen(listening, self._surroundings.max_connections, drain)

    def _fresh_sockets(self) -> list[int]:
        """The descriptors that the process has not been given yet; it is given them now."""
        served = dict(pair for each in self._surroundings.bound for pair in each.served_by(self._number))
        fresh = [sock.fileno() for number, sock in served.items() if number not in self._known]
        self._known = set(served)
        return fresh

    def status(self) -> WorkerStatus:
        """How it is."""
        pid = self._process.pid if self._process is not None and self.alive else 0
        report, gauges = self.report, self.report.gauges
        return WorkerStatus(
            number=self._number,
            pid=pid,
            ready=self._ready.is_set(),
            restarts=self._restarts,
            active=report.active,
            rss=gauges.rss,
            fds=gauges.descriptors,
            loop_lag=gauges.loop_lag,
        )

    async def stop(self, drain: float) -> None:
        """Drain the process, and start no other; what has not ended in time is killed."""
        self._stopping.set()
        if self._channel is not None:
            self._channel.send(Drain(drain))
        if self._watcher is not None:
            _, late = await asyncio.wait([self._watcher], timeout=drain + 2)
            if late:
                self._kill()
                await self._watcher

    def abort(self) -> None:
        """Kill the process, and start no other."""
        self._stopping.set()
        self._kill()

    def _send(self, message: Snapshot | Rules | Bans | Cut) -> None:
        """Send what comes again and again; a worker that hangs does not let it pile up."""
        assert self._channel is not None
        self._channel.send(message)
        if self._channel.backlog > MOST_UNREAD:
            self._surroundings.daemon.log.log(40, "a worker hangs: it is started again", worker=self._number)
            self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        channel: Channel[ToDaemon] = Channel(
            ours, ToDaemon, receive=self._receive, closed=self._hung_up, want_write=self._want_write
        )
        self._channel = channel
        loop.add_reader(ours, channel.on_readable)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("VPN_", "OTEL_"))}
        # -P: never import from the directory the daemon was started in.
        given = self._surroundings
        journal = given.journals[self._number]
        inherited = (theirs.fileno(), given.memory, given.metered, journal, given.salts)
        command = (sys.executable, "-P", "-m", "vpn.proxy.worker", *map(str, (*inherited, self._number)))
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                pass_fds=inherited,
                stdin=asyncio.subprocess.DEVNULL,
                env=environment | _MALLOC,
                start_new_session=True,
            )
        # First, while the channel is empty: descriptors cannot wait for room in it, as the snapshot can.
        self._known = set()
        channel.send(self._listening(0), self._fresh_sockets())
        self.ban(self._surroundings.bans)
        channel.send(self._surroundings.tracing)
        assert self._surroundings.snapshot is not None
        channel.send(self._surroundings.rules)
        channel.send(self._surroundings.snapshot)

    async def _watch(self) -> None:
        """Wait for the process to end, and start another one, unless we are stopping."""
        backoff = 0.0
        while True:
            assert self._process is not None
            began = time.monotonic()
            code = await self._process.wait()
            self._bury()
            if self._stopping.is_set():
                return
            self._surroundings.daemon.log.log(40, "worker died", worker=self._number, code=code)
            lived = time.monotonic() - began
            backoff = 0.0 if lived > LONGEST_BACKOFF else min(max(0.1, backoff * 2), LONGEST_BACKOFF)
            await self._restart(backoff)

    async def _restart(self, backoff: float) -> None:
        """Start another process; where that fails, a memory shortage say, go on trying."""
        if self._restarts:
            await self._sleep(backoff)
        while not self._stopping.is_set():
            self._restarts += 1
            try:
                await self._spawn()
            except OSError as error:
                self._surroundings.daemon.log.log(40, "worker cannot be started", worker=self._number, error=str(error))
                self._kill()
                self._hung_up()
                await self._sleep(LONGEST_BACKOFF)
            else:
                return

    async def _sleep(self, seconds: float) -> None:
        """Wait, but not when we are to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _bury(self) -> None:
        """The process is gone: read what it left behind, and keep its counters."""
        while self._channel is not None and self._channel.on_readable():
            pass
        self._hung_up()
        self._sessions.write_off()
        self.past = Report(
            opened=self.past.opened + self.report.opened,
            active=0,
            bytes_sent=self.past.bytes_sent + self.report.bytes_sent,
            bytes_received=self.past.bytes_received + self.report.bytes_received,
            upstreams=_past(self.past.upstreams, self.report.upstreams),
            counters=added(self.past.counters, self.report.counters),
        )
        self.report = _NOTHING
        self._ready.clear()
        for wait in (*self._applying.values(), *self._listen_waits, *self._ban_waits):
            _finish(wait)
        for cut in self._cut_waits.values():
            if not cut.done():
                cut.set_result(0)
        self._cut_waits.clear()
        self._applying.clear()
        self._listen_waits.clear()
        self._ban_waits.clear()
        self._surroundings.counters.clear(self._number)
        self._surroundings.meter.clear(self._number, max((user.slot for user in self._users()), default=0) + 1)

    def _users(self) -> list[SnapshotUser]:
        snapshot = self._surroundings.snapshot
        return snapshot.users if snapshot is not None else []

    def _hung_up(self) -> None:
        if self._channel is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._channel.fileno())
        loop.remove_writer(self._channel.fileno())
        self._channel.close()
        self._channel = None

    def _want_write(self, wanted: bool) -> None:
        assert self._channel is not None
        loop = asyncio.get_running_loop()
        if wanted:
            loop.add_writer(self._channel.fileno(), self._channel.on_writable)
        else:
            loop.remove_writer(self._channel.fileno())

    def _receive(self, message: ToDaemon) -> None:
        match message:
            case Verify():
                assert self._channel is not None
                task = asyncio.create_task(self._verify(message, self._channel))
                self._verifying.add(task)
                task.add_done_callback(self._verifying.discard)
            case Attempts():
                self._surroundings.daemon.on_attempts(message)
            case Hungry():
                self._surroundings.on_hungry()
            case Report():
                self._take_report(message)
            case Applied() | RulesApplied():
                self._applied(message)
            case Ready():
                self._ready.set()
                if self._restarts:
                    self._surroundings.daemon.log.log(20, "worker started again", worker=self._number)
            case Listens() | Refuses() | HasCut():
                self._answered(message)
            case Log():
                levels = {"debug": 10, "info": 20, "warning": 30, "error": 40}
                fields = {"worker": self._number, **message.fields}
                self._surroundings.daemon.log.log(levels[message.level], message.event, **fields)
            case _:
                assert_never(message)

    def _take_report(self, report: Report) -> None:
        self.report = report
        self._sessions.hear(report, report.journaled)

    def _answered(self, message: Listens | Refuses | HasCut) -> None:
        if isinstance(message, HasCut):
            wait = self._cut_waits.pop(message.number, None)
            if wait is not None and not wait.done():
                wait.set_result(message.sessions)
        else:
            _finish((self._listen_waits if isinstance(message, Listens) else self._ban_waits).pop(0))

    def _applied(self, message: Applied | RulesApplied) -> None:
        if isinstance(message, RulesApplied) and message.problem:
            event = "a worker cannot work by the policy"
            self._surroundings.daemon.log.log(40, event, worker=self._number, reason=message.problem)
        kind = Snapshot if isinstance(message, Applied) else Rules
        _finish(self._applying.pop((kind, message.version), None))

    async def _verify(self, question: Verify, channel: Channel[ToDaemon]) -> None:
        """Answer on the channel that the question came by: a process started since has other questions."""
        verify = self._surroundings.daemon.verify
        try:
            accepted, credential = await verify(question.user, question.password, question.source)
        except Exception as error:
            # Whatever it was (a database that is away, mostly), the client must not wait for ever.
            self._surroundings.daemon.log.log(40, "a password could not be verified", error=repr(error))
            accepted, credential = False, 0
        if channel is self._channel:
            channel.send(Verdict(question.id, accepted, credential))


def _past(before: list[UpstreamReport], now: list[UpstreamReport]) -> list[UpstreamReport]:
    """What processes that died had counted of upstreams."""
    names = dict.fromkeys(each.name for each in [*before, *now])
    merged = (merge_upstreams([each for each in [*before, *now] if each.name == name]) for name in names)
    return [msgspec.structs.replace(each, healthy=False, idle=0) for each in merged]


def _finish(wait: asyncio.Future[None] | None) -> None:
    """What was waited for has come; who waited may have given up."""
    if wait is not None and not wait.done():
        wait.set_result(None)
