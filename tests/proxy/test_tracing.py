"""How long the steps of a session take, and which were taken, over real sockets."""

import pytest

from tests.proxy.test_association import associated, hear, say
from tests.proxy.test_binder import come, listening
from tests.support.plane import login, read_all, read_exactly, running_plane
from tests.support.servers import hold, tcp_server, udp_echo
from tests.support.upstreams import go_through, upstream
from tests.support.web import origin, read_message, request
from vpn.domain.egress import Resolving


@pytest.fixture
def traced(plane):
    plane.do(lambda: setattr(plane.core, "trace_ratio", 1.0) or True)
    return plane


def steps(session):
    """The names, once it is clear that their moments are in order and within the session."""
    moments = [phase.at for phase in session.phases]
    assert moments == sorted(moments)
    assert moments[0] == session.started
    assert moments[-1] == session.ended
    return [phase.name for phase in session.phases]


# --- times


def test_a_tunnel_tells_when_it_stood_and_when_it_was_answered(plane, echo_port):
    with plane.tunnel(echo_port) as client:
        client.sendall(b"x")
        client.recv(1)
        plane.do(plane.core.report)
    session = plane.ended()[0]
    assert 0 < session.connect_time < session.ended - session.started
    assert 0 < session.first_byte_time < session.ended - session.started


def test_without_an_answer_there_is_no_time_of_it(plane):
    with tcp_server(hold) as port, plane.tunnel(port) as client:
        client.sendall(b"x")
    session = plane.ended()[0]
    assert session.connect_time > 0
    assert session.first_byte_time == 0.0


def test_a_destination_that_was_not_reached_has_no_times(plane):
    with tcp_server(hold) as port:
        pass
    with plane.connect() as client:
        login(client)
        client.sendall(b"\x05\x01\x00\x01\x7f\0\0\1" + port.to_bytes(2, "big"))
        assert read_exactly(client, 10)[1] == 5
    session = plane.ended()[0]
    assert (session.reason, session.connect_time, session.first_byte_time) == ("connection_refused", 0.0, 0.0)


def test_a_destination_that_speaks_first(plane):
    with tcp_server(lambda sock: (sock.sendall(b"220"), read_all(sock))) as port, plane.tunnel(port) as client:
        read_exactly(client, 3)
    assert plane.ended()[0].first_byte_time > 0


def test_bind_counts_from_the_request_to_the_peer(plane):
    with plane.connect() as client, come(listening(client)) as peer:
        peer.sendall(b"x")
        read_exactly(client, 11)
    session = plane.ended()[0]
    assert session.connect_time > 0
    assert session.first_byte_time > 0


def test_of_udp_it_is_the_first_answer(plane):
    with udp_echo() as port, associated(plane) as (_, sock):
        say(sock, port, b"x")
        hear(sock)
        before = plane.do(lambda: [each.session for each in plane.core.connections])[0].first_byte_time
        say(sock, port, b"y")
        hear(sock)
    session = plane.ended()[0]
    assert (session.packets_sent, session.packets_received) == (2, 2)
    assert session.first_byte_time == before > 0
    assert session.connect_time == 0.0


def test_each_forwarded_request_has_its_own(plane):
    with origin() as web, plane.connect() as client:
        for _ in range(2):
            client.sendall(request(web.port))
            read_message(client)
    first, second = plane.ended(2)
    assert first.connect_time > 0 < second.connect_time
    assert first.first_byte_time > 0 < second.first_byte_time
    assert web.connections == 1


# --- steps


def test_nothing_is_traced_unless_that_is_said(plane, echo_port):
    with plane.tunnel(echo_port):
        pass
    assert plane.ended()[0].phases is None


def test_of_some_some_are_traced(plane, echo_port):
    plane.do(lambda: setattr(plane.core, "trace_ratio", 0.5) or True)
    for _ in range(40):  # all or none of them: once in 550 thousand million runs
        plane.tunnel(echo_port).close()
    assert {each.phases is None for each in plane.ended(40)} == {True, False}


def test_the_steps_of_a_tunnel(traced, echo_port):
    with traced.tunnel(echo_port, host="localhost") as client:
        client.sendall(b"x")
        client.recv(1)
    names = ["accepted", "handshake", "authenticated", "ruled", "resolved", "connected", "first_byte", "ended"]
    assert steps(traced.ended()[0]) == names


def test_the_steps_of_one_who_is_refused(traced):
    with traced.connect() as client:
        client.sendall(b"\x05\x01\x00")
        assert read_exactly(client, 2) == b"\x05\xff"
    assert steps(traced.ended()[0]) == ["accepted", "handshake", "ended"]


def test_the_steps_of_forwarded_requests(traced):
    with origin() as web, traced.connect() as client:
        for _ in range(2):
            client.sendall(request(web.port))
            read_message(client)
    names = ["accepted", "handshake", "authenticated", "ruled", "connected", "first_byte", "ended"]
    assert [steps(each) for each in traced.ended(2)] == [names, names]


def test_the_steps_of_datagrams(traced):
    with udp_echo() as port, associated(traced) as (_, sock):
        say(sock, port, b"x")
        hear(sock)
    names = ["accepted", "handshake", "authenticated", "ruled", "first_byte", "ended"]
    assert steps(traced.ended()[0]) == names


@pytest.mark.parametrize("resolve", ["here", "there"])
def test_the_steps_through_an_upstream(traced, echo_port, resolve):
    with running_plane() as other:
        go_through(traced, upstream("paris", other.port, resolve=resolve), resolving=Resolving(prefer="v4"))
        with traced.tunnel(echo_port, host="localhost") as client:
            client.sendall(b"x")
            client.recv(1)
        found = steps(traced.ended()[0])
    assert ("resolved" in found) == (resolve == "here")
    assert found[-3:] == ["connected", "first_byte", "ended"]
