import pytest

from tests.support.servers import echo, tcp_server
from vpn.proxy.control import Cut
from vpn.proxy.cutting import cut_sessions


def cut(plane, **meant):
    return plane.do(lambda: [cut_sessions(plane.core, Cut(1, "terminated", **meant))])[0]


@pytest.mark.parametrize(
    "meant",
    [
        {"user": "alice"},
        {"user": "alice", "destination": "127.0.0.0/8"},
        {"destination": "localhost:{port}"},
        {"destination": "127.0.0.1:{port}"},
    ],
)
def test_those_meant_are_closed_and_no_others(plane, echo_port, meant):
    meant = {name: value.format(port=echo_port) for name, value in meant.items()}
    with tcp_server(echo) as elsewhere, plane.tunnel(elsewhere, "bob") as other:
        with plane.tunnel(echo_port, "Alice", host="localhost") as client:
            assert cut(plane, **meant) == 1
            assert plane.ended()[0].reason == "terminated"
            assert plane.sessions[0].user == "Alice"
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        other.sendall(b"x")
        assert other.recv(1) == b"x"


def test_one_is_closed_by_its_identifier(plane, echo_port):
    with plane.tunnel(echo_port), plane.tunnel(echo_port):
        numbers = plane.do(lambda: [each.session.id for each in plane.core.connections])
        assert cut(plane, ids=[numbers[0], 1]) == 1
        assert plane.ended()[0].id == numbers[0]


def test_nobody_is_meant_by_nothing(plane, echo_port):
    with plane.tunnel(echo_port):
        assert cut(plane) == 0
