"""Parent proxies: connections to them, and through them.

Dial        one connection to a destination through an upstream
  Approach  connect to the upstream, secure the connection, greet: what can be done in advance
    Connector, or for a chain the Dial of another upstream
  Talk      drive one of the client-side parsers over a stream
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Generator
from functools import partial

from vpn.domain.address import pack, unpack
from vpn.domain.egress import Upstream
from vpn.domain.session import Session
from vpn.protocols import http1_client, socks5_client
from vpn.protocols.errors import ProtocolError, UpstreamError
from vpn.protocols.events import Refusal, Send
from vpn.protocols.reader import Reader
from vpn.proxy.connector import Connector, Outcome, Reached, Unreached
from vpn.proxy.core import Core
from vpn.proxy.judge import Guard, Open
from vpn.proxy.poller import Timer
from vpn.proxy.pool import Pool
from vpn.proxy.stream import DONTWAIT, Stream
from vpn.proxy.tls import TLSStream, client_context

CHUNK = 16 * 1024
PATIENCE = 5.0  # seconds that an upstream has to be ready; then another one is tried

_Handshake = Generator[Send | None, None, None]
_Done = Callable[[ProtocolError | None], None]
_Reached = Callable[[Outcome], None]


class Way:
    """One upstream as one worker knows it.

    Args:
        via: the way that leads to it; None: it is connected to directly.
    """

    def __init__(self, core: Core, upstream: Upstream, via: Way | None, pool: Pool) -> None:
        self.core = core
        self.upstream = upstream
        self.via = via
        self.pool = pool
        self.healthy = True
        self.context: ssl.SSLContext | None = client_context(upstream) if upstream.protocol == "https" else None
        self.opened = 0
        """Connections made to it."""
        self.reused = 0
        """Of these, how many were there before they were needed."""
        self.failed = 0
        """How often it could not be reached, or would not have us."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.upstream.name

    def greeting(self, reader: Reader) -> _Handshake:
        """What is said before a destination is named."""
        if self.upstream.protocol == "socks5":
            yield from socks5_client.greet(reader, self.upstream.user, self.upstream.password)

    def request(self, reader: Reader, host: str, port: int) -> _Handshake:
        """Name a destination."""
        upstream = self.upstream
        if upstream.protocol == "socks5":
            yield from socks5_client.connect(reader, host, port)
        else:
            yield from http1_client.connect(reader, host, port, upstream.user, upstream.password)

    def note(self, *, reached: bool) -> None:
        """It was tried."""
        if not reached:
            self.failed += 1
        if reached == self.healthy:
            return
        self.healthy = reached
        level, event = ("info", "upstream is back") if reached else ("warning", "upstream failed")
        self.core.log(level, event, upstream=self.name)


class _Conversation:
    """Something said over a stream that is registered with the poller; `done` is called once unless cancelled."""

    def __init__(self, core: Core, stream: Stream, done: _Done) -> None:
        self._core = core
        self._stream = stream
        self._done: _Done | None = done

    def start(self) -> None:
        """Begin; `done` may be called before this returns."""
        self._core.poller.hand_over(self._stream.fileno(), lambda mask: self._go_on())
        self._go_on()

    def cancel(self) -> None:
        """Say nothing more; the stream is the caller's to close."""
        self._done = None

    def _go_on(self) -> None:
        if self._done is None:
            return
        error: ProtocolError | None = None
        try:
            self._speak()
        except BlockingIOError:
            return
        except ProtocolError as wrong:
            error = wrong
        except OSError:
            error = UpstreamError("upstream_gone")
        done, self._done = self._done, None
        done(error)

    def _speak(self) -> None:
        """Go on until it is over.

        Raises:
            BlockingIOError: it is the other side's turn.
            ProtocolError: the other side says what it should not.
            OSError: the other side is gone.
        """
        raise NotImplementedError


class Talk(_Conversation):
    """One handshake with an upstream, as a parser of the clients' side speaks it."""

    def __init__(self, core: Core, stream: Stream, reader: Reader, parser: _Handshake, done: _Done) -> None:
        super().__init__(core, stream, done)
        self._reader = reader
        self._parser = parser

    def _speak(self) -> None:
        for step in self._parser:
            if step is None:
                self._reader.feed(self._receive())
            else:
                self._send(step.data)

    def _send(self, data: bytes) -> None:
        try:
            sent = self._stream.send(data, DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent != len(data):  # a few hundred bytes: it reads nothing at all
            raise UpstreamError("upstream_stalled")

    def _receive(self) -> bytes:
        data = self._stream.recv(CHUNK, DONTWAIT)
        if not data:
            raise UpstreamError("upstream_gone")
        return data


class Secure(_Conversation):
    """The TLS handshake with an upstream."""

    def __init__(self, core: Core, stream: TLSStream, done: _Done) -> None:
        super().__init__(core, stream, done)
        self._tls = stream

    def _speak(self) -> None:
        while True:
            error = self._tls.compute()
            self._tls.flush()
            if error is None:
                return
            if not isinstance(error, ssl.SSLWantReadError):
                raise UpstreamError("upstream_tls_failed")
            if not self._tls.receive():
                raise UpstreamError("upstream_gone")


class Approach:
    """Get to an upstream that is ready to be told a destination; `done` is called once unless cancelled."""

    def __init__(self, way: Way, done: Callable[[Outcome], None]) -> None:
        self._way = way
        self._done: Callable[[Outcome], None] | None = done
        self._core = way.core
        self._stream: Stream | None = None
        self._pending: Connector | Dial | Talk | Secure | None = None
        self._address = ""
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin; `done` may be called before this returns."""
        self._timer = self._core.poller.call_later(PATIENCE, self._give_up)
        host, port = self._way.upstream.address
        if self._way.via is not None:
            self._begin(Dial(self._way.via, host, port, self._connected, Open(self._core)))
        else:
            self._begin(Connector(self._core, host, port, self._connected, Open(self._core)))

    def cancel(self) -> None:
        """Forget it; `done` is not called."""
        self._done = None
        if self._timer is not None:
            self._timer.cancel()
        if self._pending is not None:
            self._pending.cancel()
        if self._stream is not None:
            self._core.poller.close(self._stream)
            self._stream = None

    def _begin(self, pending: Connector | Dial | Talk | Secure) -> None:
        self._pending = pending
        pending.start()

    def _give_up(self) -> None:
        self._fail(Unreached(Refusal.TIMED_OUT, "upstream_timed_out"))

    def _fail(self, outcome: Unreached) -> None:
        done = self._done
        self.cancel()
        if done is not None:
            done(outcome)

    def _connected(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Reached):
            self._fail(Unreached(outcome.why, "upstream_unreachable"))
            return
        self._address = outcome.address
        self._stream = outcome.stream
        if self._way.context is None:
            self._greet(outcome.early)
            return
        host = self._way.upstream.address.host
        self._stream = stream = TLSStream(self._core.poller, outcome.stream, self._way.context, outcome.early, host)
        self._begin(Secure(self._core, stream, lambda error: self._go_on(error, partial(self._greet, b""))))

    def _greet(self, early: bytes) -> None:
        assert self._stream is not None
        reader = Reader(early)
        then = partial(self._ready, reader)
        greeting = self._way.greeting(reader)
        self._begin(Talk(self._core, self._stream, reader, greeting, lambda error: self._go_on(error, then)))

    def _go_on(self, error: ProtocolError | None, then: Callable[[], None]) -> None:
        if error is None:
            then()
        else:
            self._fail(Unreached(Refusal.FAILED, error.reason))

    def _ready(self, reader: Reader) -> None:
        stream, self._stream = self._stream, None
        assert stream is not None
        done, self._pending = self._done, None
        self.cancel()
        self._way.opened += 1
        if done is not None:
            done(Reached(stream, self._address, unread=True, early=reader.rest()))


class Dial:
    """One connection to a destination through an upstream; `done` is called once unless cancelled.

    An outcome whose detail begins with ``upstream_`` is the upstream's failure, any other the destination's.
    """

    def __init__(
        self, way: Way, host: str, port: int, done: _Reached, guard: Guard, session: Session | None = None
    ) -> None:
        self._session = session
        self._way = way
        self._core = way.core
        self._guard = guard
        self._host = host
        self._address = ""  # of the destination, if we know it
        self._port = port
        self._done: Callable[[Outcome], None] | None = done
        self._pending: Approach | Talk | None = None
        self._stream: Stream | None = None

    def start(self) -> None:
        """Begin; `done` may be called before this returns."""
        packed = pack(self._host)
        if packed is not None:
            self._judged([packed])
        elif self._way.upstream.resolve == "here" or self._guard.looks_at_addresses:
            self._core.resolver.resolve(self._host, self._resolved)
        else:
            self._approach()

    def cancel(self) -> None:
        """Forget it; `done` is not called."""
        self._done = None
        if self._pending is not None:
            self._pending.cancel()
        if self._stream is not None:
            self._core.poller.close(self._stream)
            self._stream = None

    def _resolved(self, addresses: list[bytes]) -> None:
        if self._session is not None and addresses:
            self._session.mark("resolved", time.time())
        self._judged(addresses)

    def _judged(self, addresses: list[bytes]) -> None:
        """The upstream is asked for the address that passed, and is not left to resolve the name again."""
        if self._done is None:
            return
        if not addresses:
            self._finish(Unreached(Refusal.NAME_NOT_FOUND, ""))
            return
        why = [self._guard.forbids(address) for address in addresses]
        if all(why):
            self._finish(Unreached(Refusal.NOT_ALLOWED, why[0]))
            return
        self._host = self._address = unpack(
            next(address for address, kind in zip(addresses, why, strict=True) if not kind)
        )
        self._approach()

    def _approach(self) -> None:
        idle = self._way.pool.take(self._way.name)
        if idle is not None:
            self._way.reused += 1
            self._ask(idle, fresh=False)
            return
        self._approach_anew()

    def _approach_anew(self) -> None:
        approach = Approach(self._way, self._approached)
        self._pending = approach
        approach.start()

    def _approached(self, outcome: Outcome) -> None:
        self._pending = None
        self._way.note(reached=isinstance(outcome, Reached))
        if isinstance(outcome, Reached):
            self._ask(outcome, fresh=True)
        else:
            self._finish(outcome)

    def _ask(self, reached: Reached, *, fresh: bool) -> None:
        self._stream = reached.stream
        reader = Reader(reached.early)
        parser = self._way.request(reader, self._host, self._port)
        talk = Talk(
            self._core, reached.stream, reader, parser, lambda error: self._answered(error, reader, fresh=fresh)
        )
        self._pending = talk
        talk.start()

    def _answered(self, error: ProtocolError | None, reader: Reader, *, fresh: bool) -> None:
        self._pending = None
        stream, self._stream = self._stream, None
        assert stream is not None
        if error is None:
            self._finish(Reached(stream, self._address, unread=True, early=reader.rest()))
            return
        self._core.poller.close(stream)
        if not fresh and error.reason == "upstream_gone":
            self._approach_anew()  # the idle connection had died, and nobody had told us yet
            return
        why = error.why if isinstance(error, UpstreamError) else Refusal.FAILED
        refused = error.reason in ("upstream_refused", "upstream_bad_name")
        self._finish(Unreached(why, f"{why.value}_by_upstream" if refused else error.reason))

    def _finish(self, outcome: Outcome) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(outcome)


def probe(way: Way) -> None:
    """See whether an upstream that failed is back."""

    def done(outcome: Reached | Unreached) -> None:
        way.note(reached=isinstance(outcome, Reached))
        if isinstance(outcome, Reached):
            way.core.poller.close(outcome.stream)

    Approach(way, done).start()


def keep_ready(way: Way) -> None:
    """Make one more connection in advance, if the pool has room for it."""
    if not way.pool.wants(way.name):
        return

    def done(outcome: Reached | Unreached) -> None:
        way.pool.arrived(way.name)
        way.note(reached=isinstance(outcome, Reached))
        if isinstance(outcome, Reached):
            way.pool.put(way.name, outcome)

    way.pool.expected(way.name)
    Approach(way, done).start()
