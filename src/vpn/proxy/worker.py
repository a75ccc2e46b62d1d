"""One data-plane process: ``python -m vpn.proxy.worker FD``, started by the supervisor.

FD is its end of the channel to the daemon. When the daemon is gone, for whatever reason, so is the worker:
no orphan holds a port.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from typing import assert_never

from vpn.domain.inbound import Inbound
from vpn.proxy.channel import Channel
from vpn.proxy.control import Applied, Drain, Listen, Log, Ready, Report, Snapshot, ToWorker, Verdict
from vpn.proxy.core import Core
from vpn.proxy.listener import Listener
from vpn.proxy.poller import READ, WRITE, Poller

REPORT = 0.5  # seconds between two reports
DRAIN_CHECK = 0.05  # seconds between two looks whether the last session has ended


class Worker:
    """Does what the daemon says, and reports.

    Args:
        sock: the connected channel socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._poller = Poller(self._report_error)
        sock.setblocking(False)
        self._channel: Channel[ToWorker] = Channel(
            sock, ToWorker, receive=self._receive, closed=self._daemon_gone, want_write=self._want_write
        )
        self._core = Core(self._poller, self._channel.send)
        self._listeners: list[Listener] = []
        self._to_open: list[tuple[Inbound, int]] = []
        self._applied = False
        self._reported = Report(0, 0, 0, 0, [])
        self._drain_until = 0.0

    def run(self) -> None:
        """Serve until drained, or until the daemon is gone."""
        self._poller.register(self._channel.fileno(), self._on_channel, READ)
        self._poller.call_later(REPORT, self._report)
        self._poller.run()

    def _receive(self, message: ToWorker) -> None:
        match message:
            case Snapshot():
                self._core.apply(message)
                self._applied = True
                self._channel.send(Applied(message.version))
                self._open()
            case Verdict():
                self._core.credentials.settle(message, self._poller.now)
            case Listen():
                self._listen(message)
            case Drain():
                self._drain(message.seconds)
            case _:
                assert_never(message)

    def _listen(self, message: Listen) -> None:
        descriptors = self._channel.take_descriptors(len(message.inbounds))
        self._to_open += zip(message.inbounds, descriptors, strict=True)
        if self._applied:
            self._open()

    def _open(self) -> None:
        """Begin to accept, now that there is a snapshot to work from."""
        if not self._to_open:
            return
        for inbound, fd in self._to_open:
            self._listeners.append(Listener(self._core, socket.socket(fileno=fd), inbound))
        self._to_open = []
        # What exists now lives as long as the process: the collector need not look at it again. What comes
        # is freed by counting references; the collector is there for accidents.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 20, 20)
        self._channel.send(Ready())

    def _drain(self, seconds: float) -> None:
        for listener in self._listeners:
            listener.close()
        self._drain_until = self._poller.now + seconds
        self._check_drained()

    def _check_drained(self) -> None:
        if self._core.connections and self._poller.now < self._drain_until:
            self._poller.call_later(DRAIN_CHECK, self._check_drained)
            return
        for connection in list(self._core.connections):
            connection.cut("shutdown")
        self._channel.send(self._core.report())
        self._stop_when_sent()

    def _stop_when_sent(self) -> None:
        if self._channel.backlog:
            self._poller.call_later(DRAIN_CHECK, self._stop_when_sent)
        else:
            self._poller.stop()

    def _report(self) -> None:
        self._poller.call_later(REPORT, self._report)
        report = self._core.report()
        if report != self._reported:
            self._reported = report
            self._channel.send(report)

    def _on_channel(self, mask: int) -> None:
        try:
            if mask & WRITE:
                self._channel.on_writable()
            if mask & ~WRITE:
                self._channel.on_readable()
        except Exception:
            # A worker that does not hear the daemon would serve those who may no longer be served.
            traceback.print_exc()
            os._exit(1)

    def _want_write(self, wanted: bool) -> None:
        self._poller.modify(self._channel.fileno(), READ | WRITE if wanted else READ)

    def _daemon_gone(self) -> None:
        os._exit(1)  # nobody is left to report to, and no client must be kept waiting for the interpreter

    def _report_error(self, error: Exception) -> None:
        text = "".join(traceback.format_exception(error))
        self._channel.send(Log("error", "defect in a handler", {"traceback": text}))


def main() -> None:
    """Run the worker on the descriptor named by the one argument."""
    # The daemon says when to stop; Ctrl-C in its terminal is not for us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Worker(socket.socket(fileno=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
