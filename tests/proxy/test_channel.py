import os
import socket

import pytest

from vpn.proxy.channel import Channel
from vpn.proxy.control import Applied, Drain, Log, ToDaemon, ToWorker


class End:
    """One end, and what its loop would see."""

    def __init__(self, sock, incoming):
        sock.setblocking(False)
        self.messages = []
        self.descriptors = []
        self.gone = 0
        self.wants = []
        self.channel = Channel(sock, incoming, receive=self.receive, closed=self.closed, want_write=self.wants.append)

    def receive(self, message):
        self.messages.append(message)

    def closed(self):
        self.gone += 1


@pytest.fixture
def ends():
    left, right = socket.socketpair()
    ends = End(left, ToDaemon), End(right, ToWorker)
    yield ends
    for end in ends:
        end.channel.close()


def test_messages_arrive_whole_and_in_order(ends):
    daemon, worker = ends
    worker.channel.send(Applied(1))
    worker.channel.send(Applied(2))
    daemon.channel.on_readable()
    assert daemon.messages == [Applied(1), Applied(2)]
    daemon.channel.send(Drain(1.0))
    worker.channel.on_readable()
    assert worker.messages == [Drain(1.0)]


def test_a_message_larger_than_the_buffers_waits_for_the_reader(ends):
    daemon, worker = ends
    large = Log("info", "x" * 3_000_000, {})
    worker.channel.send(large)
    worker.channel.send(Applied(1))
    assert worker.wants == [True]
    assert worker.channel.backlog > 0
    while worker.channel.backlog:
        daemon.channel.on_readable()
        worker.channel.on_writable()
    assert worker.wants == [True, False]
    while len(daemon.messages) < 2:
        daemon.channel.on_readable()
    assert daemon.messages == [large, Applied(1)]


def test_descriptors_travel_with_their_message(ends):
    daemon, worker = ends
    reader, writer = os.pipe()
    daemon.channel.send(Drain(1.0), [reader, writer])
    os.close(reader)
    os.close(writer)
    worker.channel.on_readable()
    taken = worker.channel.take_descriptors(2)
    os.write(taken[1], b"through")
    assert os.read(taken[0], 10) == b"through"
    assert worker.channel.take_descriptors(2) == []
    for fd in taken:
        os.close(fd)


def test_the_end_of_the_other_side_is_told_once(ends):
    daemon, worker = ends
    worker.channel.send(Applied(1))
    worker.channel.close()
    daemon.channel.on_readable()
    assert daemon.messages == [Applied(1)]
    daemon.channel.on_readable()
    daemon.channel.on_readable()
    assert daemon.gone == 1
    daemon.channel.send(Drain(1.0))
    assert daemon.channel.backlog == 0


def test_nothing_to_read_is_no_end(ends):
    daemon, _ = ends
    daemon.channel.on_readable()
    assert daemon.gone == 0
