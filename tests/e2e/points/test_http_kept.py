"""What implementations of a forwarding HTTP proxy get wrong about connections that are kept."""

import socket
import threading

import pytest

from tests.support.clients import basic, connect, read_head, read_response
from tests.support.origin import OK, origin
from tests.support.plane import read_all


def status(head):
    return int(head.split(b" ")[1])


def test_every_request_on_a_kept_connection_is_authenticated_anew(server):
    with origin() as web, connect(server.daemon.port) as client:
        client.sendall(web.get("/1", basic()))
        assert status(read_response(client)[0]) == 200
        client.sendall(web.get("/2"))
        assert status(read_response(client)[0]) == 407
        client.sendall(web.get("/3", basic("alice", "wrong")))
        assert status(read_response(client)[0]) == 407
        client.sendall(web.get("/4", basic()))
        assert status(read_response(client)[0]) == 200
        assert [request.start.split(b" ")[1] for request in web.requests] == [b"/1", b"/4"]


def test_every_request_on_a_kept_connection_is_checked_anew(server):
    """Here by the routes: the second destination is an upstream's, and that upstream is nowhere."""
    with origin() as web, connect(server.open) as client:
        client.sendall(web.get())
        assert status(read_response(client)[0]) == 200
        client.sendall(f"GET http://127.0.0.9:{web.port}/ HTTP/1.1\r\n\r\n".encode())
        assert status(read_response(client)[0]) == 502
        assert len(web.requests) == 1


def test_a_kept_connection_may_go_to_another_host_and_back(server):
    with origin() as one, origin() as two, connect(server.open) as client:
        for web in (one, one, two, two, one):
            client.sendall(web.get())
            assert read_response(client)[1] == b"ok"
        assert (len(one.requests), len(two.requests)) == (3, 2)
        assert (one.connections, two.connections) == (2, 1), "the same host is not connected to again"


def test_pipelined_requests_to_different_hosts_are_answered_in_order(server):
    def answer(request):
        body = request.start.split(b" ")[1]
        request.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    with origin(answer) as one, origin(answer) as two, connect(server.open) as client:
        post = one.get("/3", b"Content-Length: 0\r\n", "POST")
        client.sendall(one.get("/1") + two.get("/2") + post + two.get("/4") + one.get("/5"))
        assert [read_response(client)[1] for _ in range(5)] == [b"/1", b"/2", b"/3", b"/4", b"/5"]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_close_is_honoured(server, version):
    with origin() as web, connect(server.open) as client:
        client.sendall(web.get("/", b"Connection: close\r\n" if version == "1.1" else b"", version=version))
        head = read_head(client)
        assert b"connection: close" in head.lower()
        assert read_all(client) == b"ok"


def test_a_kept_connection_that_the_destination_closed_costs_no_request(server):
    """It closes just when the next request is under way: a GET is asked again on a fresh connection."""
    held = threading.Event()

    def answer(request):
        if request.number == 1 and request.start.startswith(b"GET /2"):
            held.set()
            request.connection.shutdown(socket.SHUT_RDWR)
        else:
            request.connection.sendall(OK)

    with origin(answer) as web, connect(server.open) as client:
        for path in ("/1", "/2"):
            client.sendall(web.get(path))
            assert read_response(client)[1] == b"ok"
        assert held.is_set()
        assert web.connections == 2


def test_a_kept_connection_waits_for_the_next_request_for_a_bounded_time(server):
    with origin() as web, connect(server.ports["short"]) as client:
        client.sendall(web.get())
        assert read_response(client)[1] == b"ok"
        assert client.recv(1) == b""


def test_a_destination_that_closes_right_behind_its_answer_is_not_asked_again(server):
    """Its end came with the answer. A POST may not be repeated, so it must not be sent into the void either."""

    def answer(request):
        request.connection.send(OK, socket.MSG_MORE)  # goes in one segment with the end
        request.connection.shutdown(socket.SHUT_WR)

    with origin(answer) as web, connect(server.open) as client:
        for _ in range(20):
            client.sendall(web.get("/", b"Content-Length: 0\r\n", "POST"))
            assert status(read_response(client)[0]) == 200
        assert web.connections == 20
