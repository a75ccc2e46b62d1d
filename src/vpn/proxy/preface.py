"""A load balancer's header, before anything else."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from vpn.domain.address import Endpoint
from vpn.domain.session import Session
from vpn.protocols import proxy_protocol
from vpn.protocols.errors import ProtocolError
from vpn.protocols.reader import Reader
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.phase import Phase
from vpn.proxy.stream import DONTWAIT

_CHUNK = 4096

Next = Callable[[bytes], None]


class Preface(Phase):
    """A load balancer, until it has said for whom it comes (the PROXY protocol)."""

    def __init__(self, core: Core, sock: Any, session: Session, client: Client, then: Next) -> None:
        super().__init__(core, sock, session, client, core.poller.now + client.entry.timeouts.handshake)
        self._then = then
        self._reader = Reader()
        self._parser: Generator[None, None, Endpoint | None] = proxy_protocol.parse(self._reader)
        next(self._parser)

    def _on_event(self, mask: int) -> None:
        try:
            while data := self._sock.recv(_CHUNK, DONTWAIT):
                self._reader.feed(data)
                next(self._parser)
        except BlockingIOError:
            return
        except StopIteration as stop:
            self._finish(stop.value)
            return
        except ProtocolError as error:
            self._close(error.reason)
            return
        except OSError:
            pass
        self._close("client_closed")

    def _finish(self, source: Endpoint | None) -> None:
        if source is not None:
            self.session.source_host, self.session.source_port = source
        self._core.connections.discard(self)
        self._then(self._reader.rest())
