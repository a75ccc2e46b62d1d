"""One data-plane process: ``python -m vpn.proxy.worker CHANNEL COUNTERS METER JOURNAL SALTS NUMBER``.

CHANNEL is its end of the channel to the daemon, COUNTERS the memory of vpn.proxy.limits, METER that of
vpn.proxy.meter, JOURNAL that of vpn.proxy.journal, SALTS that of vpn.proxy.salts (all of them descriptors), NUMBER its
place in the group. When the daemon is gone, for whatever reason, so is the worker: no orphan holds a port.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING, assert_never

import msgspec

from vpn.proxy.accounts import Accounts
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
    ToWorker,
    Tracing,
    Verdict,
    Verify,
)
from vpn.proxy.core import Core
from vpn.proxy.counters import WorkerGauges
from vpn.proxy.cutting import cut_sessions
from vpn.proxy.entry import Entry
from vpn.proxy.journal import Journal, Recorder
from vpn.proxy.limits import EVERYTHING, Counters
from vpn.proxy.listener import Listener
from vpn.proxy.meter import Meter
from vpn.proxy.poller import READ, WRITE, Poller
from vpn.proxy.salts import Salts
from vpn.proxy.shaping import Lanes

if TYPE_CHECKING:
    from vpn.proxy.packet_listener import PacketListener

REPORT = 0.5  # seconds between two reports
SILENCE = 5.0  # seconds without a report while nothing happens
MOST_BEHIND = 4  # messages that the daemon may have left unread when another report is made
MOST_WAITING = 256  # ... and when another of those is sent that may be missed
DRAIN_CHECK = 0.05  # seconds between two looks whether the last session has ended


class Worker:
    """Does what the daemon says, and reports.

    Args:
        sock: the connected channel socket.
        counters: the connections of all workers.
        meter: what the users have moved.
        journal: takes the sessions that ended.
        salts: those that clients of all workers have used.
        number: our place in the group.
    """

    def __init__(
        self, sock: socket.socket, counters: Counters, meter: Meter, journal: Journal, salts: Salts, number: int
    ) -> None:
        self._poller = Poller(self._report_error)
        sock.setblocking(False)
        self._channel: Channel[ToWorker] = Channel(
            sock, ToWorker, receive=self._receive, closed=self._daemon_gone, want_write=self._want_write
        )
        lanes = Lanes(meter.cells, self._poller, lambda: self._send(Hungry()))
        recorder = Recorder(journal, lambda: self._poller.soon(self._tell))
        self._core = Core(self._poller, self._send, Accounts(meter, number, lanes), recorder, number, salts)
        self._counters = counters
        self._listeners: dict[int, Listener] = {}
        self._packets: dict[int, PacketListener] = {}
        self._first: Listen | None = None
        self._informed = False
        self._serving = False
        self._reported = Report(0, 0, 0, 0)
        self._silent_until = 0.0
        self._dropped = 0
        self._drain_until = 0.0

    def run(self) -> None:
        """Serve until drained, or until the daemon is gone."""
        self._poller.register(self._channel.fileno(), self._on_channel, READ)
        self._poller.call_later(REPORT, self._report)
        self._poller.run()

    def _send(self, message: Verify | Attempts | Log | Report | Hungry) -> None:
        """Send what nobody has asked for. A daemon that hangs does not let it pile up.

        Questions are bounded by who asks (vpn.proxy.credentials), reports by `_tell`, answers by what is asked.
        """
        if isinstance(message, (Attempts, Log, Hungry)):
            if self._channel.backlog > MOST_WAITING:
                self._dropped += 1
                return
            if self._dropped:
                fields = {"messages": self._dropped}
                self._dropped = 0
                self._channel.send(Log("warning", "the daemon did not hear everything", fields))
        self._channel.send(message)

    def _receive(self, message: ToWorker) -> None:
        match message:
            case Snapshot():
                self._core.apply(message)
                self._informed = True
                self._channel.send(Applied(message.version))
                self._begin()
            case Rules():
                self._core.rules.work_from(message, partial(self._ruled, message.version))
            case Verdict():
                self._core.credentials.settle(message, self._poller.now)
            case Bans():
                self._core.bans.replace(message)
                self._channel.send(Refuses())
            case Listen():
                if self._serving:
                    self._listen(message)
                    self._channel.send(Listens())
                else:  # first there must be a snapshot and a policy
                    self._first = message
            case Tracing():
                self._core.trace_ratio = message.ratio
            case Cut():
                sessions = cut_sessions(self._core, message)
                self._tell()  # when the daemon hears that it is done, it knows of all that is over by now
                self._channel.send(HasCut(message.number, sessions))
            case Drain():
                self._drain(message.seconds)
            case _:
                assert_never(message)

    def _ruled(self, version: int, problem: str) -> None:
        """A policy is in force, or cannot be."""
        self._channel.send(RulesApplied(version, problem))
        self._begin()

    def _listen(self, message: Listen) -> None:
        """Serve these inbounds and no others."""
        wanted = [number for each in message.listening for number in each.numbers]
        fresh = [number for number in wanted if number not in self._listeners and number not in self._packets]
        descriptors = dict(zip(fresh, self._channel.take_descriptors(len(fresh)), strict=True))
        everything = self._counters.column(EVERYTHING, message.max_connections)
        for number in [number for number in self._listeners if number not in wanted]:
            self._remove(number, message.drain)
        for number in [number for number in self._packets if number not in wanted]:
            self._packets.pop(number).retire(message.drain)
        for each in message.listening:
            places = self._counters.column(each.column, each.inbound.max_connections)
            entry = Entry(each.number, each.inbound, everything, places)
            if each.number in self._listeners:
                self._listeners[each.number].serve(entry)
            else:
                sock = socket.socket(fileno=descriptors[each.number])
                self._listeners[each.number] = Listener(self._core, sock, entry)
            if each.packets:
                self._serve_packets(each.packets, descriptors.get(each.packets), entry)

    def _serve_packets(self, number: int, descriptor: int | None, entry: Entry) -> None:
        """Serve an inbound's datagrams, by a socket that may be new."""
        if descriptor is None:
            self._packets[number].serve(entry)
            return
        # A worker that serves no datagrams of Shadowsocks does without the memory of its ciphers.
        from vpn.proxy.packet_listener import PacketListener  # noqa: PLC0415

        self._packets[number] = PacketListener(self._core, socket.socket(fileno=descriptor), entry)

    def _remove(self, number: int, drain: float) -> None:
        """Accept no more on a listener, and give its clients some time."""
        listener = self._listeners.pop(number)
        listener.close()
        self._poller.call_later(drain, partial(self._core.cut_inbound, number))

    def _begin(self) -> None:
        """Begin to accept, once there are a snapshot and a policy to work from."""
        if self._first is None or not self._informed or self._core.rules.version < 0:
            return
        self._listen(self._first)
        self._first = None
        self._serving = True
        # What exists now lives as long as the process: the collector need not look at it again. What comes
        # is freed by counting references; the collector is there for accidents.
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 20, 20)
        self._channel.send(Ready())

    def _drain(self, seconds: float) -> None:
        for listener in self._listeners.values():
            listener.close()
        for packets in self._packets.values():
            packets.retire(seconds)
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
        self._tell()

    def _tell(self) -> None:
        """Report now, if there is anything new."""
        if self._channel.backlog > MOST_BEHIND:
            return  # a daemon that hangs hears later what there is then
        report = self._core.report()
        steady = _steady(report)
        if report.live or report.moved or steady != self._reported or self._poller.now >= self._silent_until:
            self._silent_until = self._poller.now + SILENCE
            self._reported = steady
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
        self._core.abandon("daemon_died")
        os._exit(1)  # nobody is left to report to, and no client must be kept waiting for the interpreter

    def _report_error(self, error: Exception) -> None:
        text = "".join(traceback.format_exception(error))
        self._send(Log("error", "defect in a handler", {"traceback": text}))


def _steady(report: Report) -> Report:
    """The report without what is new about sessions, which is not said twice, and what changes all the time."""
    counters = msgspec.structs.replace(report.counters, loop_seconds=0.0)
    return msgspec.structs.replace(report, live=[], moved=[], whole=False, counters=counters, gauges=WorkerGauges())


def main() -> None:
    """Run the worker that the arguments describe."""
    # The daemon says when to stop; Ctrl-C in its terminal is not for us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    channel, memory, metered, journaled, salted, number = map(int, sys.argv[1:])
    counters = Counters(memory, number)
    meter = Meter(metered)
    journal = Journal(journaled)
    salts = Salts(salted, number)
    # Not `metered`: it stays locked until the last of us is gone (vpn.services.ledger). Nor `journaled`: it may grow.
    os.close(memory)
    os.close(salted)
    Worker(socket.socket(fileno=channel), counters, meter, journal, salts, number).run()


if __name__ == "__main__":
    main()
