"""Tunnels, over real sockets."""

import contextlib
import hashlib
import os
import socket
import struct
import threading

import pytest

from tests.support.plane import login, put_off_names, read_all, read_exactly, snapshot
from tests.support.servers import after_the_end, echo, hold, reset, tcp_server
from vpn.domain.inbound import Timeouts
from vpn.proxy import pipes, relay
from vpn.proxy.meter import STOP
from vpn.proxy.pipes import SIZE

MIB = 1024 * 1024


def test_half_close_8_mib_up_then_1_mib_down(plane):
    with tcp_server(after_the_end) as port, plane.tunnel(port) as client:
        client.sendall(bytes(8 * MIB))
        client.shutdown(socket.SHUT_WR)
        answer = read_all(client)
        assert int.from_bytes(answer[:8], "big") == 8 * MIB
        assert len(answer) == 8 + MIB
    (session,) = plane.ended()
    assert (session.status, session.reason) == ("closed", "eof")
    assert (session.bytes_sent, session.bytes_received) == (8 * MIB, 8 + MIB)


def test_the_server_may_close_first(plane):
    def greet(connection):
        connection.sendall(b"hello")
        connection.shutdown(socket.SHUT_WR)
        read_all(connection)

    with tcp_server(greet) as port, plane.tunnel(port) as client:
        assert read_all(client) == b"hello"
        client.sendall(b"bye")
    assert plane.ended()[0].bytes_sent == 3


def test_both_ways_at_once_bit_for_bit(plane):
    """A slow reader on either side, so that both directions are held back and go on again."""
    payload = os.urandom(16 * MIB)
    with tcp_server(echo) as port, plane.tunnel(port) as client:
        sender = threading.Thread(target=lambda: (client.sendall(payload), client.shutdown(socket.SHUT_WR)))
        sender.start()
        received = read_all(client)
        sender.join(10)
    assert hashlib.sha256(received).digest() == hashlib.sha256(payload).digest()


def test_a_reader_who_comes_late_gets_everything_though_no_end_of_stream_follows(plane):
    """Every buffer on the way is full when reading begins; only the relay itself can set things going again."""
    full, sent = threading.Event(), 0

    def serve(connection):
        full.wait(20)
        left = sent
        while left:
            left -= len(connection.recv(left))
        connection.sendall(b"thanks")

    with tcp_server(serve) as port, plane.tunnel(port) as client:
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while True:
                sent += client.send(bytes(64 * 1024))
        assert plane.do(lambda: all(each._up.pending or each._up.pipe for each in plane.core.connections))
        client.settimeout(10)
        full.set()
        assert read_exactly(client, 6) == b"thanks"


def test_a_reader_who_does_not_read_holds_the_sender_back(plane):
    with tcp_server(hold) as port, plane.tunnel(port) as client:
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.sendall(bytes(256 * MIB))
        held = plane.do(lambda: [(len(each._up.pending), each._up.pipe) for each in plane.core.connections])
        assert all(0 < (pipe.filled if pipe else pending) <= SIZE for pending, pipe in held)


def test_a_reset_is_passed_on_as_a_reset(plane):
    with tcp_server(reset) as port, plane.tunnel(port) as client:
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            read_all(client)
    assert plane.ended()[0].reason == "reset"


def test_a_client_that_resets_is_passed_on_too(plane):
    seen = []

    def serve(connection):
        try:
            read_all(connection)
        except ConnectionResetError:
            seen.append("reset")

    with tcp_server(serve) as port:
        client = plane.tunnel(port)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        plane.ended()
        plane.until(lambda: seen == ["reset"])  # before the server is stopped, which resets nothing


def test_a_reset_after_the_end_of_one_direction_ends_the_tunnel(plane):
    with tcp_server(hold) as port:
        client = plane.tunnel(port)
        client.shutdown(socket.SHUT_WR)
        plane.until(lambda: all(each._up.ended for each in plane.core.connections))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert plane.ended()[0].reason == "reset"


def test_a_reset_is_noticed_while_the_upload_is_held_back(plane):
    with tcp_server(hold) as port:
        client = plane.tunnel(port)
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.sendall(bytes(256 * MIB))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert plane.ended()[0].reason == "reset"


def test_urgent_data_is_passed_on_in_its_place_and_holds_nothing_up(plane):
    with tcp_server(echo) as port, plane.tunnel(port) as client:
        client.sendall(b"abc")
        client.send(b"!", socket.MSG_OOB)
        client.sendall(b"def")
        assert read_exactly(client, 7) == b"abc!def"

    def shout(connection):
        connection.sendall(b"abc")
        connection.send(b"!", socket.MSG_OOB)
        connection.sendall(b"def")
        read_all(connection)

    with tcp_server(shout) as port, plane.tunnel(port) as client:
        assert read_exactly(client, 7) == b"abc!def"


def test_a_silent_tunnel_is_closed_and_a_busy_one_is_not(plane):
    plane.amend(timeouts=Timeouts(idle=1.2))
    with tcp_server(echo) as port, plane.tunnel(port) as silent, plane.tunnel(port) as busy:
        silent.settimeout(0.2)
        ended = False
        while not ended:
            busy.sendall(b"x")
            assert read_exactly(busy, 1) == b"x"
            try:
                ended = silent.recv(1) == b""
            except TimeoutError:
                continue
        busy.sendall(b"still")
        assert read_exactly(busy, 5) == b"still"
    assert plane.ended()[0].reason == "idle_timeout"


def test_a_disabled_users_tunnel_is_reset_and_the_others_go_on(plane):
    with tcp_server(echo) as port, plane.tunnel(port, "alice") as alice, plane.tunnel(port, "bob") as bob:
        plane.do(lambda: plane.core.apply(snapshot(2, users={"alice": False, "bob": True})) or True)
        with pytest.raises(ConnectionResetError):
            alice.recv(1)
        bob.sendall(b"on")
        assert read_exactly(bob, 2) == b"on"


def test_counts_of_a_live_tunnel_are_in_the_report(plane):
    with tcp_server(echo) as port, plane.tunnel(port) as client:
        client.sendall(b"12345")
        read_exactly(client, 5)
        report = plane.do(plane.core.report)
        assert (report.active, report.bytes_sent, report.bytes_received) == (1, 5, 5)


def test_nothing_is_left_of_many_tunnels(plane):
    with tcp_server(echo) as port:
        descriptors = len(os.listdir("/proc/self/fd"))
        for _ in range(200):
            with plane.tunnel(port) as client:
                client.sendall(b"x")
                read_exactly(client, 1)
        plane.ended(200)
        plane.until(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)
        assert plane.do(lambda: (len(plane.core.connections), len(plane.poller._handlers))) == (0, 2)


# --- through pipes


def relays(plane):
    return list(plane.core.connections)


def fill(client, payload):
    """Send until nothing more is taken, or nothing is left: the kernel may hold much. How much was taken."""
    client.settimeout(0.3)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < len(payload):
            sent += client.send(payload[sent : sent + 65536])
    client.settimeout(10)
    return sent


def test_a_large_transfer_goes_through_pipes_and_gives_them_back(plane):
    payload = os.urandom(16 * MIB)
    with tcp_server(echo) as port, plane.tunnel(port) as client:
        sender = threading.Thread(target=client.sendall, args=(payload,))
        sender.start()
        assert read_exactly_fast(client, len(payload)) == payload
        sender.join(10)
        assert plane.do(lambda: plane.core.pipes._made) > 0
        plane.until(lambda: len(plane.core.pipes._free) == plane.core.pipes._made)
        client.sendall(b"and a little")
        assert read_exactly(client, 12) == b"and a little"


def read_exactly_fast(sock, count):
    data = bytearray()
    while len(data) < count:
        data += sock.recv(1 << 20) or pytest.fail("the stream ended")
    return bytes(data)


@pytest.mark.parametrize("most", [0, 1, 128])
def test_both_ways_with_readers_who_come_late_however_many_pipes_there_are(plane, monkeypatch, most):
    monkeypatch.setattr(pipes, "MOST", most)
    up, down = os.urandom(24 * MIB), os.urandom(24 * MIB)
    begin, received = threading.Event(), []

    def serve(connection):
        sender = threading.Thread(target=lambda: (connection.sendall(down), connection.shutdown(socket.SHUT_WR)))
        sender.start()
        begin.wait(20)
        received.append(read_all(connection))
        sender.join(10)

    with tcp_server(serve) as port, plane.tunnel(port) as client:
        sent = fill(client, up)
        begin.set()
        sender = threading.Thread(target=lambda: (client.sendall(up[sent:]), client.shutdown(socket.SHUT_WR)))
        sender.start()
        assert read_all(client) == down
        sender.join(10)
        (session,) = plane.ended()
        plane.until(lambda: bool(received))
    assert received == [up]
    assert (session.reason, session.bytes_sent, session.bytes_received) == ("eof", len(up), len(down))
    assert plane.do(lambda: len(plane.core.pipes._free) == plane.core.pipes._made)


def in_a_pipe(plane, client, monkeypatch):
    """Fill the tunnel until bytes wait in a pipe; how many were sent."""

    def spliced():  # its sockets are made ready for that once
        return [os.get_blocking(each._up.source.fileno()) for each in relays(plane)] == [False]

    sent = fill(client, bytes(MIB))
    plane.until(spliced)
    monkeypatch.setattr(relay, "BULK", 0)  # from here on all of it is, however little comes at a time
    for _ in range(50):  # a busy machine lets the sender wait although there is room
        sent += fill(client, bytes(512 * MIB))
        if plane.do(lambda: [each._up.pipe is not None for each in relays(plane)]) == [True]:
            return sent
    raise AssertionError("nothing is in a pipe")


def late_reader():
    begin, received = threading.Event(), []

    def serve(connection):
        begin.wait(20)
        total = 0
        while data := connection.recv(1 << 20):
            total += len(data)
        received.append(total)

    return begin, received, serve


def test_an_end_of_stream_behind_a_full_pipe(plane, monkeypatch):
    begin, received, serve = late_reader()
    with tcp_server(serve) as port, plane.tunnel(port) as client:
        sent = in_a_pipe(plane, client, monkeypatch)
        client.shutdown(socket.SHUT_WR)
        begin.set()
        assert client.recv(1) == b""
    assert received == [sent]
    assert plane.ended()[0].bytes_sent == sent


@pytest.mark.parametrize("side", ["client", "destination"])
def test_a_reset_while_the_pipe_is_full(plane, side, monkeypatch):
    go = threading.Event()

    def serve(connection):
        go.wait(20)
        if side == "destination":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        else:
            hold(connection)

    with tcp_server(serve) as port, plane.tunnel(port) as client:
        in_a_pipe(plane, client, monkeypatch)
        if side == "client":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        go.set()
        assert plane.ended()[0].reason == "reset"
        assert plane.do(lambda: plane.core.pipes._made) == 0, "its bytes are thrown away with it"


def test_a_cut_while_the_pipe_is_full(plane, monkeypatch):
    with tcp_server(hold) as port, plane.tunnel(port) as client:
        in_a_pipe(plane, client, monkeypatch)
        plane.do(lambda: plane.core.apply(snapshot(2, users={"alice": False})) or True)
        assert plane.ended()[0].reason == "user_disabled"
        assert plane.do(lambda: (plane.core.pipes._made, len(plane.core.connections))) == (0, 0)


@pytest.mark.parametrize("end", [False, True])
def test_urgent_data_in_a_spliced_tunnel_arrives_in_its_place(plane, end, monkeypatch):
    """A pipe sees the end of the stream before it, if the end has come already."""
    begin, received, go_on = threading.Event(), [], threading.Event()

    def serve(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        begin.wait(20)
        tail = b""
        while not tail.endswith(b"abc!def"):
            data = connection.recv(1 << 20)
            if not data:
                break
            tail = (tail + data)[-7:]
        received.append(tail)
        go_on.set()

    with tcp_server(serve) as port, plane.tunnel(port) as client:
        in_a_pipe(plane, client, monkeypatch)
        sender = threading.Thread(target=shout, args=(client, end))
        sender.start()
        begin.set()
        sender.join(10)
        assert go_on.wait(10)
    assert received == [b"abc!def"]


def shout(client, end):
    client.sendall(b"abc")
    client.send(b"!", socket.MSG_OOB)
    client.sendall(b"def")
    if end:
        client.shutdown(socket.SHUT_WR)


# --- time


def test_after_some_silence_tcp_asks_whether_the_destination_is_there(plane):
    plane.amend(keepalive=1, timeouts=Timeouts(idle=30))

    def options():
        (tunnel,) = relays(plane)
        sink = tunnel._up.sink
        return [
            sink.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            sink.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        ]

    with tcp_server(echo) as port, plane.tunnel(port) as client:
        assert plane.do(options)[0] == 0
        plane.until(lambda: options() == [1, 1])
        client.sendall(b"still")
        assert read_exactly(client, 5) == b"still"


def test_silence_is_told_from_the_last_byte_though_tcp_was_asked_before(plane):
    plane.amend(keepalive=1, timeouts=Timeouts(idle=1.5))
    with tcp_server(hold) as port, plane.tunnel(port) as client:
        assert client.recv(1) == b""
    assert plane.ended()[0].reason == "idle_timeout"


@pytest.mark.parametrize("first", ["client", "destination"])
def test_a_tunnel_with_one_side_done_waits_less(plane, first):
    plane.amend(timeouts=Timeouts(idle=30, half_closed=0.3))

    def serve(connection):
        if first == "destination":
            connection.shutdown(socket.SHUT_WR)
        hold(connection)

    with tcp_server(serve) as port, plane.tunnel(port) as client:
        if first == "client":
            client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
        assert plane.ended()[0].reason == "idle_timeout"


# --- rates (tests/proxy/test_shaping.py has them to the byte)


BURST = 16 * 1024


@pytest.mark.parametrize("way", ["up", "down"])
def test_where_nothing_may_go_a_tunnel_stands_still_and_goes_on_when_something_may(plane, way):
    payload = os.urandom(2 * MIB)
    plane.limit(**{way: 1})
    with tcp_server(echo) as port, plane.tunnel(port) as client:
        sender = threading.Thread(target=lambda: (client.sendall(payload), client.shutdown(socket.SHUT_WR)))
        sender.start()
        plane.until(lambda: plane.hungry > 0)
        assert 0 < plane.moved()[way == "down"] <= BURST
        plane.limit()
        assert read_all(client) == payload
        sender.join(10)
    assert plane.moved() == (2 * MIB, 2 * MIB)


def test_a_spliced_direction_is_held_back_too(plane):
    piece, enough = os.urandom(MIB), threading.Event()
    sent, received = [], []

    def serve(connection):
        while not enough.is_set():
            connection.sendall(piece)
            sent.append(piece)
        connection.shutdown(socket.SHUT_WR)
        read_all(connection)

    with tcp_server(serve) as port, plane.tunnel(port) as client:
        reader = threading.Thread(target=lambda: received.append(read_all(client)))
        reader.start()
        plane.limit(down=100 * MIB)  # fast enough to be spliced
        plane.until(lambda: any(each._down.moved >= relay.BULK for each in plane.core.connections))
        plane.limit(down=1)
        before, hungry = plane.moved()[1], plane.hungry
        plane.until(lambda: plane.hungry > hungry)
        assert before <= plane.moved()[1] <= before + BURST
        enough.set()
        plane.limit()
        reader.join(10)
    assert received == [b"".join(sent)]


def test_who_leaves_does_not_wait_any_more(plane):
    plane.limit(up=1)
    with tcp_server(hold) as port:
        with plane.tunnel(port) as client:
            client.sendall(bytes(4 * BURST))
            plane.until(lambda: plane.hungry > 0)
            (tunnel,) = plane.do(lambda: list(plane.core.connections))
            lane = tunnel.client.account.up
            assert plane.do(lambda: len(lane._waiting)) == 1
            plane.do(lambda: tunnel.cut("user_disabled") or True)
        plane.ended()
        assert plane.do(lambda: [len(lane._waiting)]) == [0]


def test_what_came_early_goes_nowhere_once_the_quota_has_ended(plane):
    """Many who were let in before the end may have brought a little each."""
    came = []
    with tcp_server(lambda connection: came.append(read_all(connection))) as port, plane.connect() as client:
        late = put_off_names(plane)
        login(client)
        client.sendall(b"\x05\x01\x00\x03\x09slow.test" + port.to_bytes(2, "big") + b"early")
        plane.until(lambda: bool(late))
        plane.end_quota()
        plane.do(lambda: late[0]([b"\x7f\x00\x00\x01"]) or True)
        assert plane.ended()[0].reason == "over_quota"
        with pytest.raises(ConnectionResetError):
            read_all(client)
    assert plane.moved() == (0, 0)
    assert came in ([], [b""])


def test_at_the_end_of_the_quota_a_tunnel_is_cut_to_the_byte(plane):
    cell = plane.meter.order(0) + STOP
    with tcp_server(hold) as port, plane.tunnel(port) as client:
        plane.do(lambda: plane.meter.cells.__setitem__(cell, 300_000) or True)
        with contextlib.suppress(OSError):
            client.sendall(bytes(MIB))
        assert plane.ended()[0].reason == "over_quota"
        plane.do(lambda: plane.meter.cells.__setitem__(cell, 0) or True)
    assert plane.moved()[0] == 300_000


def test_who_is_held_back_by_a_rate_is_not_idle(plane):
    payload = os.urandom(4 * BURST)
    plane.limit(up=1)
    with tcp_server(echo) as port, plane.tunnel(port) as client:
        client.sendall(payload)
        client.shutdown(socket.SHUT_WR)
        plane.until(lambda: plane.hungry > 0)
        (tunnel,) = plane.do(lambda: relays(plane))
        plane.do(lambda: tunnel.expire() or True)
        plane.limit()
        assert read_all(client) == payload
