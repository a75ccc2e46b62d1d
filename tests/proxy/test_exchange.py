"""HTTP requests that are forwarded, over real sockets."""

import os
import socket
import struct
import threading

import pytest

from tests.support.plane import put_off_names, read_all, read_exactly, snapshot
from tests.support.servers import hold, tcp_server
from tests.support.web import (
    basic,
    length_of,
    origin,
    read_head,
    read_message,
    request,
    response,
    standstill,
)
from vpn.domain.inbound import Timeouts
from vpn.proxy.exchange import CHUNK, Exchange
from vpn.proxy.handshake import Handshake
from vpn.proxy.kept import Kept

MIB = 1024 * 1024
RESET = struct.pack("ii", 1, 0)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def ask(client, *arguments, **options):
    client.sendall(request(*arguments, **options))
    return read_message(client)


def exchanges(plane):
    return [each for each in plane.core.connections if isinstance(each, Exchange)]


def nothing_is_left(plane):
    """No connection, no place taken, and only the listener's handlers and the plane's own."""
    plane.until(lambda: not plane.core.connections)
    plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners))
    assert [plane.counters.total(column) for column in (0, 1)] == [0, 0]


# --- the way it should be


def test_requests_of_one_client_share_a_connection(plane):
    with origin() as server, plane.connect() as client:
        for number in range(3):
            head, body = ask(client, server.port, "POST", body=b"x" * number, path=f"/{number}")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"\r\nConnection: keep-alive" in head
            assert body == b"/%d " % number + b"x" * number
    assert server.connections == 1
    sessions = plane.ended(3)
    assert len({session.id for session in sessions}) == 3
    assert {(each.status, each.reason, each.user, each.protocol) for each in sessions} == {
        ("closed", "eof", "alice", "http")
    }
    for each, head in zip(sessions, server.heads, strict=True):
        assert each.bytes_sent == len(head) + 4 + length_of(head)
        assert each.bytes_received > 0
    nothing_is_left(plane)


def test_every_request_needs_its_credentials(plane):
    with origin() as server, plane.connect() as client:
        ask(client, server.port)
        client.sendall(b"GET http://127.0.0.1:%d/ HTTP/1.1\r\n\r\n" % server.port)
        assert read_message(client)[0].startswith(b"HTTP/1.1 407 ")
        assert ask(client, server.port)[1] == b"/ "
    assert server.connections == 1
    assert len(server.heads) == 2
    assert not any(b"uthoriz" in head for head in server.heads)


def test_pipelined_requests_to_different_hosts_are_answered_in_order(plane):
    with origin() as first, origin() as second, plane.connect() as client:
        ports = [first.port, first.port, second.port, first.port]
        client.sendall(b"".join(request(port, path=f"/{at}") for at, port in enumerate(ports)))
        assert [read_message(client)[1] for _ in ports] == [b"/0 ", b"/1 ", b"/2 ", b"/3 "]
        assert first.gone.acquire(timeout=5), "what leads elsewhere is not kept"
    assert (first.connections, second.connections) == (2, 1)
    nothing_is_left(plane)


def test_a_hundred_requests_in_one_segment(plane):
    with origin() as server, plane.connect() as client:
        client.sendall(b"".join(request(server.port, path=f"/{at}") for at in range(100)))
        assert [read_message(client)[1] for _ in range(100)] == [b"/%d " % at for at in range(100)]
    plane.ended(100)
    nothing_is_left(plane)


def test_a_request_byte_by_byte(plane):
    with origin() as server, plane.connect() as client:
        for _ in range(2):
            for byte in request(server.port, "POST", body=b"body"):
                client.sendall(bytes([byte]))
            assert read_message(client)[1] == b"/ body"


def test_the_client_may_be_done_before_it_is_answered(plane):
    with origin() as server, plane.connect() as client:
        client.sendall(request(server.port))
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).endswith(b"\r\n\r\n/ ")
    assert [each.reason for each in plane.ended()] == ["eof"]
    nothing_is_left(plane)


def test_a_response_up_to_the_end_of_the_stream(plane):
    def serve(connection):
        read_head(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + bytes(MIB))

    with tcp_server(serve) as port, plane.connect() as client:
        client.sendall(request(port))
        head, _, body = read_all(client).partition(b"\r\n\r\n")
    assert b"\r\nConnection: close" in head
    assert body == bytes(MIB)
    nothing_is_left(plane)


def test_an_old_client(plane):
    def serve(connection):
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")

    with tcp_server(serve) as port, plane.connect() as client:
        client.sendall(b"GET http://127.0.0.1:%d/ HTTP/1.0\r\n" % port + basic() + b"\r\n")
        assert read_all(client) == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"


def test_100_continue(plane):
    def serve(connection):
        head = read_head(connection)
        assert b"\r\nExpect: 100-continue" in head
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(response(read_exactly(connection, length_of(head))))

    with tcp_server(serve) as port, plane.connect() as client:
        client.sendall(request(port, "PUT", b"Expect: 100-continue\r\nContent-Length: 4\r\n"))
        assert read_head(client) == b"HTTP/1.1 100 Continue"
        client.sendall(b"body")
        assert read_message(client)[1] == b"body"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_waits_for_a_slow_destination(plane, chunked):
    payload = os.urandom(8 * MIB)
    begin = threading.Event()
    received = []

    def serve(connection):
        head = read_head(connection)
        begin.wait(20)
        if b"Transfer-Encoding: chunked" in head:
            body = b""
            file = connection.makefile("rb")
            while size := int(file.readline(), 16):
                body += file.read(size)
                file.readline()
            file.readline()
            file.close()
        else:
            body = read_exactly(connection, length_of(head))
        received.append(body)
        connection.sendall(response(b"thanks"))

    fields = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % len(payload)
    pieces = [payload[at : at + 100_000] for at in range(0, len(payload), 100_000)]
    body = b"".join(b"%x;x=y\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"

    def send(client):
        client.sendall(request(port, "POST", fields) + (body if chunked else payload))

    with tcp_server(serve) as port, plane.connect() as client:
        sender = threading.Thread(target=send, args=(client,))
        sender.start()
        plane.until(lambda: any(each._up.pending for each in exchanges(plane)))
        held = plane.do(lambda: [(len(each._up.pending), len(each._up.reader.peek())) for each in exchanges(plane)])
        assert all(size <= 2 * CHUNK for sizes in held for size in sizes)
        begin.set()
        assert read_message(client)[1] == b"thanks"
        sender.join(10)
    assert received == [payload]
    nothing_is_left(plane)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_download_waits_for_a_slow_client(plane, chunked):
    payload = os.urandom(16 * MIB)

    def answer(head, body):
        if not chunked:
            return response(payload)
        pieces = (payload[at : at + 70_000] for at in range(0, len(payload), 70_000))
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"

    with origin(answer) as server, plane.connect() as client:
        client.sendall(request(server.port))
        plane.until(lambda: any(each._down.pending for each in exchanges(plane)))
        held = plane.do(lambda: [(len(each._down.pending), len(each._down.reader.peek())) for each in exchanges(plane)])
        assert all(size <= 2 * CHUNK for sizes in held for size in sizes)
        if chunked:
            read_head(client)
            received = b""
            with client.makefile("rb") as file:
                while size := int(file.readline(), 16):
                    received += file.read(size)
                    file.readline()
                file.readline()
        else:
            received = read_message(client)[1]
        assert received == payload
    assert [each.reason for each in plane.ended()] == ["eof"]
    nothing_is_left(plane)


# --- upgrades


UPGRADE = b"Connection: Upgrade\r\nUpgrade: echo\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"


def test_an_upgrade_with_bytes_on_both_sides_at_once(plane):
    payload = os.urandom(4 * MIB)

    def serve(connection):
        head = read_head(connection)
        assert b"\r\nUpgrade: echo" in head
        connection.sendall(SWITCHED + b"hello")
        while data := connection.recv(65536):
            connection.sendall(data)

    with tcp_server(serve) as port, plane.connect() as client:
        client.sendall(request(port, fields=UPGRADE) + b"early")
        sender = threading.Thread(target=lambda: (client.sendall(payload), client.shutdown(socket.SHUT_WR)))
        sender.start()
        assert read_head(client).startswith(b"HTTP/1.1 101 ")
        assert read_all(client) == b"helloearly" + payload
        sender.join(10)
    (session,) = plane.ended()
    assert (session.status, session.reason) == ("closed", "eof")
    came = len(SWITCHED + b"helloearly") + len(payload)
    assert session.bytes_received == plane.moved()[1] == came, "what came behind the head is counted once"
    nothing_is_left(plane)


def test_an_upgrade_while_the_request_is_still_on_its_way(plane):
    """What the destination has not taken of the body yet follows it into the tunnel."""
    payload = os.urandom(8 * MIB)
    begin = threading.Event()
    received = []

    def serve(connection):
        read_head(connection)
        connection.sendall(SWITCHED)
        begin.wait(20)
        received.append(read_exactly(connection, len(payload)))
        connection.sendall(b"thanks")

    with tcp_server(serve) as port, plane.connect() as client:
        sender = threading.Thread(target=lambda: client.sendall(request(port, "POST", UPGRADE, payload)))
        sender.start()
        assert read_head(client).startswith(b"HTTP/1.1 101 ")
        begin.set()
        assert read_exactly(client, 6) == b"thanks"
        sender.join(10)
    assert received == [payload]
    nothing_is_left(plane)


def test_an_upgrade_that_nobody_asked_for_gets_no_tunnel(plane):
    """Or the client's next request would go there whole, its credentials included."""
    received = []

    def serve(connection):
        read_head(connection)
        connection.sendall(SWITCHED)
        received.append(read_all(connection))

    with tcp_server(serve) as port, plane.connect() as client:
        client.sendall(request(port) + request(port))
        assert read_all(client).startswith(b"HTTP/1.1 502 ")
    assert plane.ended()[0].reason == "unexpected_upgrade"
    assert received in ([], [b""])
    nothing_is_left(plane)


# --- kept connections


def next_ones(plane):
    """Clients between two requests."""
    return [each for each in plane.core.connections if isinstance(each, Handshake)]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_kept_connection_that_died_is_replaced(plane, method):
    def serve(connection):
        read_message(connection)
        connection.sendall(response(b"once"))

    with tcp_server(serve) as port, plane.connect() as client:
        for _ in range(3):
            assert ask(client, port, method)[1] == b"once"
            # Until its end is seen, a POST goes over it, and may not be sent again.
            plane.until(lambda: [each._kept is None or not each._kept._stands() for each in next_ones(plane)] == [True])
    assert [(each.status, each.reason) for each in plane.ended(3)] == [("closed", "eof")] * 3
    nothing_is_left(plane)


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize(("method", "answer"), [("GET", b"200"), ("POST", b"502")])
def test_it_dies_while_the_next_request_is_being_sent(plane, monkeypatch, how, method, answer):
    """What may be sent twice is sent again, and nothing else is."""
    monkeypatch.setattr(Kept, "reaches", lambda self, *destination: self._reached is not None)
    end, ended, requests = threading.Event(), threading.Event(), []

    def serve(connection):
        requests.append(read_message(connection))
        connection.sendall(response(b"once"))
        if len(requests) == 1:
            end.wait(10)
            if how == "reset":
                reset(connection)
            else:
                connection.shutdown(socket.SHUT_RDWR)
            ended.set()

    with tcp_server(serve) as port, plane.connect() as client:
        ask(client, port, method)
        with standstill(plane):
            client.sendall(request(port, method))
            end.set()
            assert ended.wait(10)
        head, _ = read_message(client)
        assert head.split()[1] == answer
    assert len(requests) == (2 if method == "GET" else 1)
    plane.ended(2)
    nothing_is_left(plane)


def test_a_kept_connection_is_closed_when_the_destination_speaks_out_of_turn(plane):
    speak, spoke = threading.Event(), threading.Event()
    connections = []

    def serve(connection):
        connections.append(connection)
        while True:
            read_message(connection)
            connection.sendall(response(b"mine"))
            if len(connections) == 1:
                speak.wait(10)
                connection.sendall(response(b"injected"))
                spoke.set()
                read_all(connection)

    with tcp_server(serve) as port, plane.connect() as client:
        assert ask(client, port)[1] == b"mine"
        with standstill(plane):
            client.sendall(request(port))
            speak.set()
            assert spoke.wait(10)
        assert read_message(client)[1] == b"mine"
    assert len(connections) == 2


def test_a_kept_connection_is_one_users_own(plane):
    with origin() as server, plane.connect() as client:
        ask(client, server.port)
        client.sendall(request(server.port).replace(basic(), basic("bob")))
        assert read_message(client)[1] == b"/ "
    assert server.connections == 2
    assert [each.user for each in plane.ended(2)] == ["alice", "bob"]


def test_the_destinations_connection_goes_with_the_client(plane):
    with origin() as server:
        with plane.connect() as client:
            ask(client, server.port)
        assert server.gone.acquire(timeout=5)
    nothing_is_left(plane)
    assert len(plane.ended()) == 1, "a client between two requests has no session"


def test_a_client_that_asks_nothing_more_is_let_go(plane):
    plane.amend(timeouts=Timeouts(request=0.3))
    with origin() as server, plane.connect() as client:
        ask(client, server.port)
        assert client.recv(1) == b""
        assert server.gone.acquire(timeout=5)
    assert [each.reason for each in plane.ended()] == ["eof"]
    nothing_is_left(plane)


# --- what goes wrong


def test_a_final_answer_while_the_request_is_still_coming(plane):
    with (
        tcp_server(
            lambda connection: (read_head(connection), connection.sendall(response(b"no")), hold(connection))
        ) as port,
        plane.connect() as client,
    ):
        client.sendall(request(port, "POST", b"Content-Length: 100000000\r\n") + bytes(100_000))
        assert read_message(client)[1] == b"no"
        assert client.recv(1) == b""
    assert plane.ended()[0].reason == "eof"
    nothing_is_left(plane)


def test_the_rest_of_a_body_that_the_destination_did_not_want_is_no_request(plane):
    """The destination answers, and resets the connection because of what it has not read."""
    close, answered, upload = threading.Event(), threading.Event(), 64 * MIB

    def serve(connection):
        read_head(connection)
        close.wait(10)
        connection.sendall(response(b"too large", status=b"413 Content Too Large"))
        connection.close()
        answered.set()

    with origin() as other, tcp_server(serve) as port, plane.connect() as client:
        head = request(port, "POST", b"Content-Length: %d\r\n" % upload)
        client.sendall(head + bytes(1000))
        plane.until(lambda: any(each.session.bytes_sent > 1000 for each in exchanges(plane)))
        with standstill(plane):
            client.sendall(bytes(1000) + request(other.port))
            close.set()
            assert answered.wait(4)
        assert read_message(client)[1] == b"too large"
        assert client.recv(1) == b""
        assert other.connections == 0
    nothing_is_left(plane)


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (b"", 502, "no_response"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", None, "truncated"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234", None, "truncated"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", None, "truncated"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", None, "bad_chunk"),
    ],
)
def test_an_answer_that_is_none_never_looks_complete(plane, answer, status, reason):
    def serve(connection):
        read_head(connection)
        connection.sendall(answer)

    with tcp_server(serve) as port, plane.connect() as client:
        client.sendall(request(port))
        if status is None:
            with pytest.raises(ConnectionResetError):
                read_all(client)
        else:
            head, _ = read_message(client)
            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert b"\r\nProxy-Status: vpn; error=" in head
            assert b"\r\nConnection: close" in head
            assert client.recv(1) == b""
    (session,) = plane.ended()
    assert (session.status, session.reason) == ("failed", reason)
    nothing_is_left(plane)


def test_a_destination_that_resets_in_the_middle_of_its_answer(plane):
    def serve(connection):
        read_head(connection)
        read_exactly(connection, 4)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n1234")
        connection.recv(1)
        reset(connection)

    with tcp_server(serve) as port, plane.connect() as client:
        client.sendall(request(port, "POST", b"Content-Length: 5\r\n") + b"1234")
        read_head(client)
        client.sendall(b"5")
        with pytest.raises(ConnectionResetError):
            read_all(client)
    assert plane.ended()[0].status == "failed"
    nothing_is_left(plane)


@pytest.mark.parametrize("how", ["reset", "end"])
def test_a_client_that_vanishes_in_the_middle_of_its_request(plane, how):
    seen = []

    def serve(connection):
        read_head(connection)
        try:
            seen.append(read_all(connection))
        except ConnectionResetError:
            seen.append("reset")

    with tcp_server(serve) as port:
        client = plane.connect()
        client.sendall(request(port, "POST", b"Content-Length: 5\r\n") + b"1234")
        plane.until(lambda: any(each.session.bytes_sent for each in exchanges(plane)))
        reset(client) if how == "reset" else client.close()
        plane.until(lambda: seen == ["reset"])
    assert plane.ended()[0].reason in ("client_gone", "client_closed")
    nothing_is_left(plane)


def test_a_client_that_vanishes_in_the_middle_of_its_answer(plane):
    with origin(lambda head, body: response(bytes(64 * MIB))) as server:
        client = plane.connect()
        client.sendall(request(server.port))
        plane.until(lambda: any(each._down.pending for each in exchanges(plane)))
        reset(client)
        assert server.gone.acquire(timeout=10)
    assert plane.ended()[0].reason == "client_gone"
    nothing_is_left(plane)


def test_a_request_that_is_framed_badly_after_its_head(plane):
    with tcp_server(hold) as port, plane.connect() as client:
        client.sendall(request(port, "POST", b"Transfer-Encoding: chunked\r\n") + b"3\r\nabcd\r\n")
        assert read_message(client)[0].startswith(b"HTTP/1.1 400 ")
        assert client.recv(1) == b""
    assert plane.ended()[0].reason == "bad_chunk"
    nothing_is_left(plane)


def test_a_destination_that_says_nothing(plane):
    plane.amend(timeouts=Timeouts(idle=0.3))
    with tcp_server(hold) as port, plane.connect() as client:
        client.sendall(request(port))
        assert read_message(client)[0].startswith(b"HTTP/1.1 504 ")
        assert client.recv(1) == b""
    assert plane.ended()[0].reason == "idle_timeout"
    nothing_is_left(plane)


def test_a_destination_that_stops_in_the_middle(plane):
    plane.amend(timeouts=Timeouts(idle=0.3))

    def serve(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234")
        hold(connection)

    with tcp_server(serve) as port, plane.connect() as client:
        client.sendall(request(port))
        with pytest.raises(ConnectionResetError):
            read_all(client)
    assert plane.ended()[0].reason == "idle_timeout"
    nothing_is_left(plane)


def test_a_disabled_user_is_cut(plane):
    with tcp_server(hold) as port, plane.connect() as client:
        client.sendall(request(port))
        plane.until(lambda: bool(exchanges(plane)))
        plane.do(lambda: plane.core.apply(snapshot(2, users={"alice": False})) or True)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert plane.ended()[0].reason == "user_disabled"
    nothing_is_left(plane)


def test_a_disabled_user_who_asks_nothing_just_now_is_cut_too(plane):
    with origin() as server, plane.connect() as client:
        ask(client, server.port)
        plane.until(lambda: not exchanges(plane))
        plane.do(lambda: plane.core.apply(snapshot(2, users={"alice": False})) or True)
        assert read_all(client) == b""
        nothing_is_left(plane)
        assert len(plane.ended()) == 1


def test_who_asks_without_credentials_on_a_kept_connection_is_nobody(plane):
    with origin() as server, plane.connect() as client:
        ask(client, server.port)
        client.sendall(b"\x00")
        plane.until(lambda: not plane.core.connections)
    assert [(session.user, session.reason) for session in plane.ended(2)] == [
        ("alice", "eof"),
        ("", "unknown_protocol"),
    ]


# --- quotas


def test_a_head_goes_nowhere_once_the_quota_has_ended(plane):
    """Many who were let in before the end may have brought one each."""
    with origin() as server, plane.connect() as client:
        late = put_off_names(plane)
        client.sendall(request(server.port).replace(b"127.0.0.1", b"slow.test"))
        plane.until(lambda: bool(late))
        plane.end_quota()
        plane.do(lambda: late[0]([b"\x7f\x00\x00\x01"]) or True)
        assert plane.ended()[0].reason == "over_quota"
        with pytest.raises(ConnectionResetError):
            read_all(client)
    assert plane.moved() == (0, 0)
    nothing_is_left(plane)


def test_what_waits_for_the_destination_goes_nowhere_once_the_quota_has_ended(plane):
    begin = threading.Event()

    def serve(connection):
        begin.wait(20)
        read_all(connection)

    with tcp_server(serve) as port, plane.connect() as client:
        sender = threading.Thread(target=send_to_the_reset, args=(client, request(port, "POST", body=bytes(64 * MIB))))
        sender.start()
        plane.until(lambda: any(each._up.pending and each._up.armed for each in exchanges(plane)))
        plane.end_quota()
        before = plane.moved()[0]
        begin.set()
        assert plane.ended()[0].reason == "over_quota"
        sender.join(10)
    assert plane.moved()[0] == before


def send_to_the_reset(client, data):
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.sendall(data)


# --- rates


@pytest.mark.parametrize("way", ["up", "down"])
def test_where_nothing_may_go_a_request_stands_still_and_goes_on_when_something_may(plane, way):
    payload = os.urandom(MIB)
    plane.limit(**{way: 1})
    with origin() as server, plane.connect() as client:
        sender = threading.Thread(target=client.sendall, args=(request(server.port, "POST", body=payload),))
        sender.start()
        plane.until(lambda: plane.hungry > 0)
        assert plane.moved()[way == "down"] <= 32 * 1024
        assert len(exchanges(plane)) == 1
        plane.limit()
        assert read_message(client)[1].endswith(payload)
        sender.join(10)
        assert ask(client, server.port)[1] == b"/ ", "the connection goes on"
    nothing_is_left(plane)


def test_who_is_held_back_by_a_rate_is_not_idle(plane):
    plane.limit(up=1)
    with origin() as server, plane.connect() as client:
        client.sendall(request(server.port, "POST", body=bytes(64 * 1024)))
        plane.until(lambda: plane.hungry > 0)
        (exchange,) = exchanges(plane)
        plane.do(lambda: exchange.expire() or True)
        plane.limit()
        assert read_message(client)[0].startswith(b"HTTP/1.1 200 ")


def test_a_request_that_is_held_back_ends_with_its_client(plane):
    plane.limit(up=1)
    with origin() as server:
        with plane.connect() as client:
            client.sendall(request(server.port, "POST", body=bytes(64 * 1024)))
            plane.until(lambda: plane.hungry > 0)
            (exchange,) = exchanges(plane)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        plane.ended()
        assert plane.do(lambda: [len(exchange.client.account.up._waiting)]) == [0]
    nothing_is_left(plane)
