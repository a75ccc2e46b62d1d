"""What users of proxies complain about: sockets that stay, logs that flood."""

import socket
import struct
import threading

import pytest

from tests.e2e.points.conftest import OPEN, configured, serve
from tests.support.clients import (
    BIND,
    CONNECT,
    ask,
    connect,
    greet,
    http_connect,
    read_head,
    read_response,
    socks5,
    tunnel,
)
from tests.support.daemon import running_daemon
from tests.support.origin import origin
from tests.support.plane import read_exactly
from tests.support.processes import CLOSE_WAIT, descriptors, sockets
from tests.support.servers import busy_port, hold, tcp_server
from tests.support.waiting import until

COUNT = 50
CLIENTS = 10_000


def waiting_to_be_closed(daemon):
    """Sockets of the workers whose other side is gone, and that nobody has closed."""
    return sum(each.state == CLOSE_WAIT for each in sockets(daemon.workers(), "tcp"))


def vanish(client, how):
    """Say that nothing more will come, and go; or go without a word."""
    if how == "half-closed":
        client.shutdown(socket.SHUT_WR)
    elif how == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """Whatever waits, waits for a second at most."""
    directory = tmp_path_factory.mktemp("hasty")
    text = f"""
proxy:
  workers: 2
  half_closed_timeout: 1
  connect_timeout: 1
  bind_timeout: 1
  inbounds: {{open: {{listen: '127.0.0.1:0', {OPEN}}}}}
"""
    with running_daemon(directory / "data", **configured(directory, text)) as daemon:
        yield serve(daemon)


@pytest.mark.parametrize("how", ["closed", "half-closed", "reset"])
def test_clients_that_vanish_leave_nothing_in_close_wait(hasty, how):
    """In each phase some. The destinations of the tunnels neither answer nor close."""
    before = descriptors(hasty.daemon.workers())
    with tcp_server(hold) as port, origin(lambda request: None) as silent, busy_port() as busy:
        for _ in range(COUNT):
            vanish(tunnel(hasty.open, port), how)
            for said in (silent.get(), http_connect(busy.port), b"\x05\x01\x00" + socks5(BIND, "127.0.0.3", 0)):
                client = connect(hasty.open)
                client.sendall(said)
                vanish(client, how)
            client = connect(hasty.open)
            greet(client)
            vanish(client, how)
        if how != "half-closed":
            until(lambda: waiting_to_be_closed(hasty.daemon) == 0)
        until(lambda: descriptors(hasty.daemon.workers()) <= before, 30)
        assert waiting_to_be_closed(hasty.daemon) == 0


def test_destinations_that_close_leave_nothing_in_close_wait(hasty):
    """The client of a kept connection stays, and says nothing more."""

    def answer(request):
        request.connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        request.connection.shutdown(socket.SHUT_RDWR)

    clients = []
    with origin(answer) as web:
        for _ in range(COUNT):
            clients.append(connect(hasty.open))
            clients[-1].sendall(web.get())
            assert read_response(clients[-1])[1] == b"ok"
        until(lambda: waiting_to_be_closed(hasty.daemon) == 0)
    for client in clients:
        client.close()


def test_ten_thousand_bad_clients_are_no_flood_of_log_lines(tmp_path):
    """Wrong passwords, no method, garbage, and forbidden destinations."""
    text = f"proxy:\n  workers: 2\n  inbounds: {{open: {{listen: '127.0.0.1:0', {OPEN}}}}}\n"
    variables = configured(tmp_path, text) | {"VPN_PROXY__PRIVATE_DESTINATIONS": "refuse"}
    with running_daemon(tmp_path / "data", **variables) as daemon:
        server = serve(daemon)
        wrong = b"\x05\x01\x02\x01\x05alice\x05wrong"
        kinds = [
            (daemon.port, wrong),
            (daemon.port, b"\x05\x01\x00"),
            (daemon.port, b"\0garbage"),
            (daemon.port, http_connect(80, fields=b"Proxy-Authorization: Basic YWxpY2U6d3Jvbmc=\r\n") * 3),
            (server.open, http_connect(80)),
        ]

        def storm(first):
            for number in range(first, CLIENTS, 4):
                port, said = kinds[number % len(kinds)]
                client = connect(port)
                try:
                    client.sendall(said)
                    while client.recv(1000):
                        pass
                except ConnectionError:
                    pass
                vanish(client, "reset")

        threads = [threading.Thread(target=storm, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        until(lambda: server.totals()["sessions_total"] >= CLIENTS)
        assert "authentication failed" in daemon.err
        assert "destination refused" in daemon.err
        assert len(daemon.err.splitlines()) < CLIENTS / 20
        with connect(server.open) as client:
            greet(client)


def test_success_is_not_said_before_the_connect(server):
    with busy_port() as busy:
        for said in (b"\x05\x01\x00" + socks5(CONNECT, "127.0.0.1", busy.port), http_connect(busy.port)):
            with connect(server.open) as client:
                client.sendall(said)
                if said.startswith(b"\x05"):
                    assert read_exactly(client, 2) == b"\x05\x00"
                client.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    client.recv(1)


def test_the_bound_address_of_udp_behind_nat_is_the_configured_one(server):
    with connect(server.ports["public"]) as client:
        assert ask(client, 3, "0.0.0.0", 0)[1][0] == "198.51.100.7"


def test_requests_in_fragments_are_served(server, echo_port):
    for said in (b"\x05\x01\x00" + socks5(CONNECT, "localhost", echo_port), http_connect(echo_port, "localhost")):
        with connect(server.open) as client:
            for at in range(len(said)):
                client.sendall(said[at : at + 1])
            if said.startswith(b"\x05"):
                assert read_exactly(client, 4) == b"\x05\x00\x05\x00"
            else:
                assert read_head(client).startswith(b"HTTP/1.1 200 ")


def test_idle_upstream_connections_whose_end_came_with_the_greeting_are_not_kept(tmp_path, echo_port):
    greeted = []

    def upstream(connection):
        """Serves the first; the others are closed in the moment that they are ready."""
        connection.recv(3)
        greeted.append(connection)
        if len(greeted) > 1:
            connection.send(b"\x05\x00", socket.MSG_MORE)  # goes in one segment with the end
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
            return
        connection.sendall(b"\x05\x00")
        connection.recv(10)
        connection.sendall(b"\x05\x00\x00\x01" + bytes(6))
        connection.recv(1)

    with tcp_server(upstream) as port:
        text = f"""
proxy:
  workers: 1
  inbounds: {{open: {{listen: '127.0.0.1:0', {OPEN}}}}}
  upstreams: {{parent: {{address: '127.0.0.1:{port}'}}}}
  routes: [{{upstreams: {{parent: 1}}}}]
  pool: {{max_idle_per_upstream: 3}}
"""
        with running_daemon(tmp_path / "data", **configured(tmp_path, text)) as daemon:
            pooled = serve(daemon)
            with tunnel(pooled.open, echo_port):
                until(lambda: len(greeted) == 4)
                until(lambda: waiting_to_be_closed(daemon) == 0)
