from contextlib import contextmanager

import pytest

from tests.proxy.test_association import associated
from tests.proxy.test_binder import listening
from tests.support.plane import login, put_off_names, read_all, read_exactly, running_plane
from tests.support.servers import echo, hold, tcp_server
from tests.support.web import origin, read_message, request
from vpn.domain.inbound import TLS
from vpn.proxy.association import Association
from vpn.proxy.control import Cut
from vpn.proxy.cutting import cut_sessions
from vpn.proxy.exchange import Exchange
from vpn.proxy.farewell import Farewell
from vpn.proxy.handshake import Handshake
from vpn.proxy.relay import Relay


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


# --- in every phase


@contextmanager
def in_handshake(plane):
    with plane.connect() as client:
        client.sendall(b"\x05")
        yield client


@contextmanager
def in_verification(plane):
    """The daemon takes its time over the password."""
    plane.do(lambda: setattr(plane.core.credentials, "_ask", lambda question: None) or True)
    with plane.connect() as client:
        client.sendall(b"\x05\x01\x02\x01\x05alice\x06s3cret")
        plane.until(lambda: plane.core.credentials._waiting)
        yield client


@contextmanager
def in_resolving(plane):
    late = put_off_names(plane)
    with plane.connect() as client:
        login(client)
        client.sendall(b"\x05\x01\x00\x03\x06a.test\x00\x50")
        plane.until(lambda: late)
        yield client


@contextmanager
def in_bind(plane):
    with plane.connect() as client:
        listening(client)
        yield client


@contextmanager
def in_relay(plane):
    with tcp_server(echo) as port, plane.tunnel(port) as client:
        yield client


@contextmanager
def in_association(plane):
    with associated(plane) as (control, _):
        yield control


@contextmanager
def in_exchange(plane):
    with tcp_server(hold) as port, plane.connect() as client:
        client.sendall(request(port))
        yield client


PHASES = {
    in_handshake: Handshake,
    in_verification: Handshake,
    in_resolving: Handshake,
    in_bind: Handshake,
    in_relay: Relay,
    in_association: Association,
    in_exchange: Exchange,
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_session_is_closed_in_every_phase(plane, phase):
    with phase(plane) as client:
        plane.until(lambda: [type(each) for each in plane.core.connections] == [PHASES[phase]])
        number = plane.do(lambda: [each.session.id for each in plane.core.connections])[0]
        assert cut(plane, ids=[number]) == 1
        session = plane.ended()[0]
        assert (session.id, session.status, session.reason) == (number, "closed", "terminated")
        assert gone(client)
    nothing_is_left(plane)


@pytest.mark.parametrize("settings", [{"trusted_proxies": ("127.0.0.0/8",)}, "tls"])
def test_before_the_handshake_too(settings, files):
    if settings == "tls":
        settings = {"tls": TLS(certificate=str(files.certificate), key=str(files.key))}
    with running_plane(**settings) as plane, plane.connect() as client:
        client.sendall(b"\x16" if "tls" in settings else b"P")
        plane.until(lambda: plane.core.connections)
        number = plane.do(lambda: [each.session.id for each in plane.core.connections])[0]
        assert cut(plane, ids=[number]) == 1
        session = plane.ended()[0]
        assert (session.status, session.reason) == ("closed", "terminated")
        assert gone(client)
        assert plane.do(lambda: plane.core.report().counters).handshake_errors == {}
        nothing_is_left(plane)


def test_who_is_refused_has_no_live_session_any_more(plane):
    """A farewell is not cut: it is over in two seconds at most."""
    with plane.connect() as client:
        client.sendall(b"\x05\x01\x00")
        assert read_exactly(client, 2) == b"\x05\xff"
        plane.until(lambda: [type(each) for each in plane.core.connections] == [Farewell])
        number = plane.do(lambda: [each.session.id for each in plane.core.connections])[0]
        assert cut(plane, ids=[number]) == 0
    assert plane.ended()[0].reason == "no_acceptable_method"


def test_a_client_between_two_requests_is_left_alone(plane):
    """It has no session, and does not count as one."""
    with origin() as web, plane.connect() as client:
        client.sendall(request(web.port))
        read_message(client)
        plane.ended()
        assert plane.do(plane.core.report).active == 0
        assert cut(plane, user="alice") == 0
        client.sendall(request(web.port))
        read_message(client)
    assert [each.reason for each in plane.ended(2)] == ["eof", "eof"]


def gone(client):
    try:
        return read_all(client) is not None
    except ConnectionResetError:
        return True


def nothing_is_left(plane):
    plane.until(lambda: not plane.core.connections)
    plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners))
    assert [plane.counters.total(column) for column in (0, 1)] == [0, 0]


def test_where_nobody_is_named_nobody_is_closed(plane, echo_port):
    with plane.tunnel(echo_port) as client:
        assert cut(plane) == 0
        client.sendall(b"x")
        assert client.recv(1) == b"x"
