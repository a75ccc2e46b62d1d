import resource
import socket

import pytest

from tests.support.servers import echo, tcp_server
from vpn.proxy.listener import open_socket
from vpn.proxy.poller import Poller


def test_several_workers_share_a_port_and_strangers_do_not_take_it():
    first = open_socket(("127.0.0.1", 0), socket.AF_INET)
    port = first.getsockname()[1]
    second = open_socket(("127.0.0.1", port), socket.AF_INET)
    with pytest.raises(OSError, match="in use"), socket.socket() as stranger:
        stranger.bind(("127.0.0.1", port))
    first.close()
    second.close()


def test_accepted_sockets_send_small_pieces_at_once(plane):
    with tcp_server(echo) as port, plane.tunnel(port):

        def nodelay():
            (relay,) = plane.core.connections
            return [
                sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for sock in (relay._up.source, relay._up.sink)
            ]

        assert all(plane.do(nodelay))


def test_the_source_is_in_the_session(plane):
    with plane.connect() as client:
        plane.until(lambda: len(plane.core.connections) == 1)
        session = plane.do(lambda: next(iter(plane.core.connections)).session)
        assert (session.source_host, session.source_port) == client.getsockname()
        assert session.inbound == "main"


def test_out_of_descriptors_it_waits_says_so_once_and_goes_on(plane):
    """At the limit the listener neither spins nor dies."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    clients = [socket.socket() for _ in range(5)]
    used = max(sock.fileno() for sock in clients)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, limits[1]))
        for client in clients:
            client.settimeout(5)
            client.connect(("127.0.0.1", plane.port))
            client.sendall(b"\x05")
        plane.until(lambda: bool(plane.logs))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    plane.until(lambda: len(plane.core.connections) == 5)
    assert [(log.level, log.event) for log in plane.logs] == [("error", "not accepting")]
    for client in clients:
        client.close()


def test_a_client_whom_the_kernel_has_no_room_for_is_counted_too(plane, monkeypatch):
    register = Poller.register

    def full(poller, *arguments):
        monkeypatch.setattr(Poller, "register", register)
        raise OSError(28, "no room")

    monkeypatch.setattr(Poller, "register", full)
    with plane.connect() as client:
        assert client.recv(1) == b""
    (session,) = plane.ended()
    assert (session.status, session.reason) == ("failed", "out_of_descriptors")
    assert plane.do(lambda: [plane.journal.begun]) == [1]
    assert not plane.do(lambda: [len(plane.core.connections)])[0]
    with plane.connect() as client:
        client.sendall(b"\x05\x01\x02")
        assert client.recv(2) == b"\x05\x02"


def test_a_closed_listener_refuses(plane):
    plane.do(lambda: plane.listeners[0].close() or True)
    plane.until(lambda: plane.listeners[0]._sock.fileno() < 0)
    with pytest.raises(ConnectionRefusedError):
        plane.connect()
