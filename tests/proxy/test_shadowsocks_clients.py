"""Other people's clients of Shadowsocks get through, with megabytes in both directions at once.

None of them passes the end of one direction on while the other goes on, so that is tried with a client of our own
(test_unsealing.py).
"""

import contextlib
import threading

import pytest

from tests.support.plane import read_exactly
from tests.support.servers import echo, tcp_server
from tests.support.shadowsocks import password, shadowsocks_plane
from tests.support.shadowsocks_client import METHODS, OLD
from tests.support.shadowsocks_programs import open_tunnel, sing_box, ss_local

MIB = 1 << 20
PROGRAMS = [("ss-local", method) for method in OLD] + [("sing-box", method) for method in METHODS]


@contextlib.contextmanager
def running(program, method, secret, port, directory):
    started = ss_local(method, secret, port) if program == "ss-local" else sing_box(method, secret, port, directory)
    with started as own:
        yield own


@pytest.mark.parametrize(("program", "method"), PROGRAMS)
def test_a_client_gets_through(program, method, tmp_path):
    data = bytes(range(251)) * (8 * MIB // 251)
    got = []
    with (
        shadowsocks_plane(method) as plane,
        running(program, method, password(method, "bob"), plane.port, tmp_path) as port,
        tcp_server(echo) as echoes,
    ):
        with open_tunnel(port, echoes, "localhost") as sock:
            reader = threading.Thread(target=lambda: got.append(read_exactly(sock, len(data))))
            reader.start()
            sock.sendall(data)
            reader.join(30)
        session = plane.ended()[0]
    assert got == [data]
    assert (session.user, session.host) == ("bob", "localhost")
    assert (session.bytes_sent, session.bytes_received) == (len(data), len(data))


@pytest.mark.parametrize(("program", "method"), PROGRAMS)
def test_a_client_with_a_wrong_password_does_not(program, method, tmp_path):
    with (
        shadowsocks_plane(method) as plane,
        running(program, method, password(method, "mallory"), plane.port, tmp_path) as port,
        tcp_server(echo) as echoes,
    ):
        with open_tunnel(port, echoes) as sock:
            sock.sendall(b"hello")
            plane.until(lambda: any(each.session.protocol == "shadowsocks" for each in plane.core.connections))
        assert plane.ended()[0].reason == "authentication_failed"
