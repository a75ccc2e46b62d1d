import inspect
import socket

import pytest

from vpn.proxy.stream import Stream, set_keepalive
from vpn.proxy.tls import TLSStream

PARTS = [name for name, _ in inspect.getmembers(Stream, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize("kind", [socket.SocketType, TLSStream])
def test_plain_and_tls_connections_are_streams(kind):
    assert {"recv", "recv_into", "send", "shutdown", "close"} <= set(PARTS)
    assert all(callable(getattr(kind, name, None)) for name in PARTS)


def option(sock, level, name):
    return sock.getsockopt(level, name)


def test_keepalive():
    with socket.socket() as sock:
        set_keepalive(sock, 60)
        assert option(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert option(sock, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        assert option(sock, socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 20
        assert option(sock, socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
        set_keepalive(sock, 0)
        assert option(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        set_keepalive(sock, 1)
        assert option(sock, socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 1
