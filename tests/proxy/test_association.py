"""UDP ASSOCIATE, over real sockets."""

import socket
from contextlib import contextmanager

import pytest

from tests.support.plane import login, put_off_names, read_all, read_exactly, snapshot
from tests.support.servers import udp_echo
from tests.support.upstreams import go_through, route, upstream
from vpn.domain.egress import Resolving
from vpn.domain.inbound import Timeouts
from vpn.protocols import datagram
from vpn.proxy import datagrams as module
from vpn.proxy.association import Association


@contextmanager
def associated(plane, announced=("0.0.0.0", 0), source="127.0.0.1"):
    """The control connection, and a UDP socket that talks to the relay."""
    with plane.connect() as control, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.settimeout(5)
        host, port = announced
        login(control)
        control.sendall(b"\x05\x03\x00\x01" + socket.inet_aton(host) + (port or 0).to_bytes(2, "big"))
        reply = read_exactly(control, 10)
        assert reply[:4] == b"\x05\x00\x00\x01", reply
        sock.connect((socket.inet_ntoa(reply[4:8]), int.from_bytes(reply[8:], "big")))
        yield control, sock


def say(sock, port, data, host="127.0.0.1"):
    sock.send(datagram.header(host, port) + data)


def hear(sock):
    data = sock.recv(70_000)
    told = datagram.unpack(data)
    return (told.host, told.port), data[told.payload :]


def silent(sock):
    sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        sock.recv(100)
    sock.settimeout(5)


def nothing_is_left(plane):
    plane.until(lambda: not plane.core.connections)
    plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners) + len(plane.core.resolver._watched))
    assert [plane.counters.total(column) for column in (0, 1)] == [0, 0]


@pytest.mark.parametrize("size", [0, 1, 1400, 60_000])
def test_datagrams_go_both_ways(plane, size):
    with udp_echo() as port, associated(plane) as (_, sock):
        for _ in range(3):
            say(sock, port, b"x" * size)
            assert hear(sock) == (("127.0.0.1", port), b"x" * size)
    (session,) = plane.ended()
    assert (session.status, session.reason, session.user) == ("closed", "eof", "alice")
    assert (session.packets_sent, session.packets_received) == (3, 3)
    assert (session.bytes_sent, session.bytes_received) == (3 * size, 3 * size)
    nothing_is_left(plane)


def test_several_destinations_and_families(plane):
    plane.do(lambda: plane.core.apply(snapshot(2, resolving=Resolving(hosts={"a.test": ("::1", "127.0.0.1")}))) or True)
    with udp_echo() as first, udp_echo() as second, udp_echo("::1") as sixth, associated(plane) as (_, sock):
        for host, port, told in (
            ("127.0.0.1", first, "127.0.0.1"),
            ("127.0.0.1", second, "127.0.0.1"),
            ("::1", sixth, "::1"),
            ("a.test", first, "127.0.0.1"),  # the client's own family first
        ):
            say(sock, port, host.encode(), host)
            assert hear(sock) == ((told, port), host.encode())
    plane.ended()
    nothing_is_left(plane)


def test_answers_come_only_from_whom_was_written_to(plane):
    with udp_echo() as port, associated(plane) as (_, sock):
        say(sock, port, b"twice")
        assert hear(sock)[1] == b"twice"
        silent(sock)


def test_only_the_clients_datagrams_are_relayed(plane):
    with udp_echo() as port, associated(plane) as (_, sock):
        relay = sock.getpeername()
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        ):
            stranger.bind(("127.0.0.2", 0))
            stranger.connect(relay)
            say(stranger, port, b"not mine")
            say(sock, port, b"mine")
            assert hear(sock)[1] == b"mine"
            other.connect(relay)  # the client's address, and another port than the first
            say(other, port, b"too late")
            silent(sock)
            silent(other)
    assert plane.ended()[0].packets_sent == 1


def test_a_port_that_was_announced_is_the_only_one(plane):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as announced, udp_echo() as port:
        announced.bind(("127.0.0.1", 0))
        announced.settimeout(5)
        with associated(plane, announced.getsockname()) as (_, sock):
            say(sock, port, b"other")
            announced.connect(sock.getpeername())
            say(announced, port, b"mine")
            assert hear(announced)[1] == b"mine"
            silent(sock)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00",
        b"\x00\x00\x00\x01",
        b"\x00\x00\x01\x01\x7f\x00\x00\x01\x00\x50fragment",
        b"\x00\x01\x00\x01\x7f\x00\x00\x01\x00\x50reserved",
        b"\x00\x00\x00\x02\x7f\x00\x00\x01\x00\x50kind",
        b"\x00\x00\x00\x01\x7f\x00\x00\x01\x00\x00port",
        b"\x00\x00\x00\x03\x00\x00\x50",
        b"\x00\x00\x00\x03\xffshort",
        b"\x00\x00\x00\x04" + bytes(15),
    ],
)
def test_a_bad_datagram_is_dropped_and_ends_nothing(plane, said):
    with udp_echo() as port, associated(plane) as (_, sock):
        sock.send(said)
        say(sock, port, b"good")
        assert hear(sock)[1] == b"good"
    assert plane.ended()[0].packets_sent == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "inside.test", "10.0.0.1", "::ffff:127.0.0.1"])
def test_the_guard_holds_for_every_datagram(plane, host):
    hosts = Resolving(hosts={"inside.test": ("127.0.0.1",)})
    plane.do(lambda: plane.core.apply(snapshot(2, private_destinations=False, resolving=hosts)) or True)
    with udp_echo() as port, associated(plane) as (_, sock):
        for _ in range(3):
            say(sock, port, b"x", host)
        silent(sock)
    assert plane.ended()[0].packets_sent == 0
    assert len([log for log in plane.logs if log.event == "datagram refused"]) == 1


def test_what_must_go_through_an_upstream_is_dropped(plane):
    go_through(plane, upstream("a", 1), routes=(route("a", destinations=("127.0.0.1",)),))
    with udp_echo() as port, associated(plane) as (_, sock):
        say(sock, port, b"x")
        silent(sock)
    assert plane.ended()[0].packets_sent == 0


@pytest.mark.parametrize("bound", ["_MOST_PEERS", "_MOST_WAITING"])
def test_memory_is_bounded(plane, monkeypatch, bound):
    monkeypatch.setattr(module, bound, 8)
    with udp_echo() as port, associated(plane) as (_, sock):
        for number in range(30):
            say(sock, 9, b"x", f"127.0.1.{number + 1}")
            say(sock, 9, b"x", f"n{number}.invalid")
        say(sock, port, b"last")
        assert hear(sock)[1] == b"last"
        (each,) = plane.do(lambda: [each for each in plane.core.connections if isinstance(each, Association)])
        if bound == "_MOST_PEERS":
            assert len(each._targets) <= 8
            assert len(each._headers) <= 8
        else:
            assert each._waiting <= 8


def test_names_that_are_resolved_after_the_end(plane):
    with associated(plane) as (_, sock):
        late = put_off_names(plane)
        say(sock, 9, b"x", "slow.test")
        plane.until(lambda: bool(late))
    plane.ended()
    plane.do(lambda: late[0]([b"\x7f\x00\x00\x01"]) or True)
    assert plane.ended()[0].packets_sent == 0


def test_names_that_are_resolved_after_the_quota_has_ended(plane):
    with udp_echo() as port, associated(plane) as (control, sock):
        late = put_off_names(plane)
        for _ in range(3):
            say(sock, port, bytes(60_000), "slow.test")
        plane.until(lambda: len(late) == 3)
        plane.end_quota()
        plane.do(lambda: [each([b"\x7f\x00\x00\x01"]) for each in late])
        (session,) = plane.ended()
        assert (session.reason, session.packets_sent, plane.moved()) == ("over_quota", 0, (0, 0))
        assert read_all(control) == b""
        nothing_is_left(plane)


@pytest.mark.parametrize("how", ["end", "reset", "silence", "disabled"])
def test_how_it_ends(plane, how):
    if how == "silence":
        plane.amend(timeouts=Timeouts(udp=0.3))
    with associated(plane) as (control, sock):
        say(sock, 9, b"x")
        if how == "end":
            control.shutdown(socket.SHUT_WR)
        elif how == "reset":
            control.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
            control.close()
        elif how == "disabled":
            plane.do(lambda: plane.core.apply(snapshot(2, users={"alice": False})) or True)
        wanted = {"silence": "idle_timeout", "disabled": "user_disabled"}.get(how, "eof")
        assert plane.ended()[0].reason == wanted
        nothing_is_left(plane)
        if how != "reset":
            assert read_all(control) == b""


def test_what_the_client_says_on_the_control_connection_is_ignored(plane):
    with udp_echo() as port, associated(plane) as (control, sock):
        control.sendall(b"x" * 100_000)
        say(sock, port, b"still")
        assert hear(sock)[1] == b"still"
        control.shutdown(socket.SHUT_WR)
        assert plane.ended()[0].reason == "eof"


def test_the_address_that_clients_are_told(plane):
    plane.amend(udp_address="203.0.113.9")
    with plane.connect() as control:
        login(control)
        control.sendall(b"\x05\x03\x00\x01" + bytes(6))
        assert socket.inet_ntoa(read_exactly(control, 10)[4:8]) == "203.0.113.9"


def test_a_client_that_goes_with_its_request(plane):
    with plane.connect() as control:
        login(control)
        control.sendall(b"\x05\x03\x00\x01" + bytes(6))
        control.shutdown(socket.SHUT_WR)
        assert len(read_all(control)) == 10
    assert plane.ended()[0].reason == "eof"
    nothing_is_left(plane)


# --- rates


@pytest.mark.parametrize("way", ["up", "down"])
def test_datagrams_wait_where_nothing_may_go_and_arrive_in_order_when_something_may(plane, way):
    """A defect of the product that this one replaces: UDP is not shaped."""
    plane.limit(**{way: 1})
    said = [bytes([number]) * 1000 for number in range(40)]
    with udp_echo() as port, associated(plane) as (_, sock):
        for data in said:
            say(sock, port, data)
        plane.until(lambda: plane.hungry > 0)
        assert 0 < plane.moved()[way == "down"] <= 17 * 1024
        plane.limit()
        assert [hear(sock)[1] for _ in said] == said
        plane.until(lambda: plane.moved() == (40_000, 40_000))  # the last is counted when it has been sent


def test_an_association_that_is_held_back_ends_with_its_client(plane):
    plane.limit(up=1)
    with udp_echo() as port:
        with associated(plane) as (_, sock):
            for _ in range(40):
                say(sock, port, bytes(1000))
            plane.until(lambda: plane.hungry > 0)
            (association,) = plane.do(lambda: list(plane.core.connections))
            plane.do(lambda: association.expire() or True)
            assert not association.session.ended, "it is not idle"
        plane.ended()
        assert plane.do(lambda: [len(association.client.account.up._waiting)]) == [0]
    nothing_is_left(plane)
