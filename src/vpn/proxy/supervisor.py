"""The daemon's side of the data plane: workers are started, told, heard, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol, assert_never

import msgspec

from vpn.domain.inbound import Inbound
from vpn.domain.session import Session
from vpn.proxy.channel import Channel
from vpn.proxy.control import Applied, Drain, Listen, Log, Ready, Report, Snapshot, ToDaemon, Verdict, Verify
from vpn.proxy.listener import open_socket

READY_TIMEOUT = 10.0  # seconds a new worker has until it listens
APPLY_TIMEOUT = 2.0  # seconds that a change waits for slow workers
LONGEST_BACKOFF = 5.0  # seconds between two starts of a worker that keeps dying
_NOTHING = Report(0, 0, 0, 0, [])

# A worker allocates one big buffer and then small things: without this glibc would keep an arena for each
# thread of a library and never return what a burst of clients took.
_MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "131072"}


class Bound(NamedTuple):
    """An inbound with one listening socket for each worker."""

    inbound: Inbound
    sockets: list[socket.socket]


class Logger(Protocol):
    """What the supervisor needs of a structured logger."""

    def log(self, level: int, event: str, **fields: Any) -> Any:
        """Write one line; `level` as in `logging`."""


class WorkerStatus(msgspec.Struct, frozen=True):
    """One worker as the daemon sees it."""

    number: int
    pid: int
    ready: bool
    restarts: int
    active: int


class Totals(msgspec.Struct, frozen=True):
    """Counters of all workers since the daemon started, those of dead workers included."""

    opened: int
    active: int
    bytes_sent: int
    bytes_received: int


def bind(inbound: Inbound, workers: int) -> Bound:
    """Open the listening sockets of an inbound, one per worker.

    Port 0 takes any free port, the same for all workers.

    Raises:
        OSError: the address cannot be listened on.
    """
    host, port = inbound.listen
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    _refuse_taken_port(address, family)
    sockets: list[socket.socket] = []
    try:
        for _ in range(workers):
            sockets.append(open_socket((host, port), family))
            port = sockets[0].getsockname()[1]
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    bound = inbound.listen._replace(host=sockets[0].getsockname()[0], port=port)
    return Bound(msgspec.structs.replace(inbound, listen=bound), sockets)


def _refuse_taken_port(address: Any, family: int) -> None:
    """SO_REUSEPORT would let us share a port with another program of ours: ask without it first."""
    if address[1] != 0:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
            probe.listen(1)


class Supervisor:
    """Runs the workers of one daemon.

    Args:
        bound: the inbounds with their sockets, which stay open here so that a worker started again gets
            the same ones and no connection queued on them is lost.
        workers: how many.
        verify: answers whether a password is a user's, and for which credential number.
        on_sessions: takes the sessions that ended.
        log: a structured logger.
    """

    def __init__(
        self,
        bound: Sequence[Bound],
        workers: int,
        *,
        verify: Callable[[str, str], Awaitable[tuple[bool, int]]],
        on_sessions: Callable[[list[Session]], None],
        log: Logger,
    ) -> None:
        self.bound = list(bound)
        self.verify = verify
        self.on_sessions = on_sessions
        self.log = log
        self.snapshot: Snapshot | None = None
        self._workers = [_Worker(self, number) for number in range(workers)]

    async def start(self, snapshot: Snapshot) -> None:
        """Start all workers, and wait until they listen.

        Raises:
            TimeoutError: one did not get there within ten seconds.
        """
        self.snapshot = snapshot
        async with asyncio.timeout(READY_TIMEOUT):
            await asyncio.gather(*(worker.start() for worker in self._workers))

    async def publish(self, snapshot: Snapshot) -> None:
        """Let all workers work from `snapshot`, and wait until they do.

        A worker that is being started gets the newest snapshot anyway; one that hangs is waited for two
        seconds and then left to it.
        """
        self.snapshot = snapshot
        waits = [worker.apply(snapshot) for worker in self._workers if worker.alive]
        if waits:
            _, late = await asyncio.wait(waits, timeout=APPLY_TIMEOUT)
            for wait in late:
                wait.cancel()
            if late:
                self.log.log(30, "workers are slow to apply a change", workers=len(late), version=snapshot.version)

    def status(self) -> list[WorkerStatus]:
        """Each worker's state."""
        return [worker.status() for worker in self._workers]

    def totals(self) -> Totals:
        """Counters over all workers."""
        reports = [report for worker in self._workers for report in (worker.past, worker.report)]
        return Totals(
            opened=sum(report.opened for report in reports),
            active=sum(worker.report.active for worker in self._workers),
            bytes_sent=sum(report.bytes_sent for report in reports),
            bytes_received=sum(report.bytes_received for report in reports),
        )

    async def stop(self, drain: float) -> None:
        """Accept nothing more, give sessions `drain` seconds to end, then stop all workers."""
        for bound in self.bound:
            for sock in bound.sockets:
                sock.close()
        await asyncio.gather(*(worker.stop(drain) for worker in self._workers))

    def kill(self) -> None:
        """Stop all workers at once, for good."""
        for worker in self._workers:
            worker.abort()


class _Worker:
    """One worker process after the other, for one place in the group."""

    def __init__(self, supervisor: Supervisor, number: int) -> None:
        self._supervisor = supervisor
        self._number = number
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Channel[ToDaemon] | None = None
        self._ready = asyncio.Event()
        self._applying: dict[int, asyncio.Future[None]] = {}
        self._verifying: set[asyncio.Task[None]] = set()
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._restarts = 0
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

    def apply(self, snapshot: Snapshot) -> asyncio.Future[None]:
        """Send a snapshot; the future is done when the worker works from it, or is gone."""
        assert self._channel is not None
        applied = asyncio.get_running_loop().create_future()
        self._applying[snapshot.version] = applied
        self._channel.send(snapshot)
        return applied

    def status(self) -> WorkerStatus:
        pid = self._process.pid if self._process is not None and self.alive else 0
        return WorkerStatus(self._number, pid, self._ready.is_set(), self._restarts, self.report.active)

    async def stop(self, drain: float) -> None:
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
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VPN_")}
        # -P: never import from the directory the daemon was started in.
        command = (sys.executable, "-P", "-m", "vpn.proxy.worker", str(theirs.fileno()))
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env=environment | _MALLOC,
                start_new_session=True,
            )
        bound = self._supervisor.bound
        # First, while the channel is empty: descriptors cannot wait for room in it, as the snapshot can.
        channel.send(
            Listen(self._number, [each.inbound for each in bound]),
            [each.sockets[self._number].fileno() for each in bound],
        )
        assert self._supervisor.snapshot is not None
        channel.send(self._supervisor.snapshot)

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
            self._supervisor.log.log(40, "worker died", worker=self._number, code=code)
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
                self._supervisor.log.log(40, "worker cannot be started", worker=self._number, error=str(error))
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
        self.past = Report(
            opened=self.past.opened + self.report.opened,
            active=0,
            bytes_sent=self.past.bytes_sent + self.report.bytes_sent,
            bytes_received=self.past.bytes_received + self.report.bytes_received,
            ended=[],
        )
        self.report = _NOTHING
        self._ready.clear()
        for applied in self._applying.values():
            if not applied.done():
                applied.set_result(None)
        self._applying.clear()

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
            case Report():
                self.report = message
                if message.ended:
                    self._supervisor.on_sessions(message.ended)
            case Applied():
                applied = self._applying.pop(message.version, None)
                if applied is not None and not applied.done():
                    applied.set_result(None)
            case Ready():
                self._ready.set()
            case Log():
                levels = {"debug": 10, "info": 20, "warning": 30, "error": 40}
                self._supervisor.log.log(levels[message.level], message.event, worker=self._number, **message.fields)
            case _:
                assert_never(message)

    async def _verify(self, question: Verify, channel: Channel[ToDaemon]) -> None:
        """Answer on the channel that the question came by: a process started since has other questions."""
        try:
            accepted, credential = await self._supervisor.verify(question.user, question.password)
        except Exception as error:
            # Whatever it was (a database that is away, mostly), the client must not wait for ever.
            self._supervisor.log.log(40, "a password could not be verified", error=repr(error))
            accepted, credential = False, 0
        if channel is self._channel:
            channel.send(Verdict(question.id, accepted, credential))
