"""What implementations of UDP ASSOCIATE get wrong."""

import socket
import struct
from contextlib import contextmanager

import pytest

from tests.support.clients import ASSOCIATE, ask, connect, read_reply, socks5, socks_address
from tests.support.plane import login, running_plane, snapshot
from tests.support.processes import sockets
from tests.support.waiting import until


def datagram(host, port, payload=b"", reserved=0, fragment=0):
    return struct.pack("!HB", reserved, fragment) + socks_address(host, port) + payload


@contextmanager
def udp(host="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.settimeout(10)
        yield sock


@contextmanager
def association(proxy, host="0.0.0.0", port=0):
    """The control connection, the client's socket, and where its datagrams go."""
    with connect(proxy) as control, udp() as client:
        code, relay = ask(control, ASSOCIATE, host, port)
        assert code == 0
        client.connect(relay)
        yield control, client, relay


@contextmanager
def destination(host="127.0.0.1"):
    with udp(host) as sock:
        yield sock, sock.getsockname()[:2]


def still_works(client, sock, address):
    """Whatever was sent before, this one goes through, and it is the next to come."""
    client.send(datagram(*address, b"good"))
    data, relay = sock.recvfrom(100)
    assert data == b"good"
    sock.sendto(b"answer", relay)
    assert client.recv(100) == datagram(*address, b"answer")


def bound_ports(workers):
    """The UDP ports of these processes."""
    return {each.port for each in sockets(workers, "udp")}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_ways(server, host):
    with association(server.open) as (_, client, _relay), destination(host) as (sock, address):
        still_works(client, sock, address)


def test_to_a_name(server, dns):
    dns.records["udp.test"] = ["127.0.0.1"]
    with association(server.open) as (_, client, _relay), destination() as (sock, (host, port)):
        client.send(datagram("udp.test", port, b"by name"))
        data, relay = sock.recvfrom(100)
        assert data == b"by name"
        sock.sendto(b"answer", relay)
        assert client.recv(100) == datagram(host, port, b"answer")


def test_rsv_must_be_0_and_fragments_are_dropped(server):
    with association(server.open) as (_, client, _relay), destination() as (sock, address):
        for reserved, fragment in ((1, 0), (0x100, 0), (0, 1), (0, 0x80), (0, 0x7F)):
            client.send(datagram(*address, b"bad", reserved, fragment))
        still_works(client, sock, address)


MALFORMED = [
    b"",
    b"\0",
    b"\0\0\0",
    b"\0\0\0\x01",
    b"\0\0\0\x01\x7f\0\0\x01\0",
    b"\0\0\0\x02" + bytes(20),
    b"\0\0\0\x03",
    b"\0\0\0\x03\xffshort",
    b"\0\0\0\x03\0\0\x50",
    b"\0\0\0\x03\x02a\0\0\x50x",
    b"\0\0\0\x04" + bytes(10),
    datagram("127.0.0.1", 0, b"to port 0"),
    datagram("nobody.test", 80, b"to nobody"),
    datagram("255.255.255.255", 9, b"broadcast"),
]


def test_a_malformed_datagram_never_ends_it(server):
    with association(server.open) as (_, client, _relay), destination() as (sock, address):
        still_works(client, sock, address)
        for bad in MALFORMED:
            client.send(bad)
        still_works(client, sock, address)


def test_nor_does_a_destination_that_refuses(server):
    with association(server.open) as (_, client, _relay), destination() as (sock, address):
        with destination() as (_closed, nobody):
            pass
        for _ in range(3):
            client.send(datagram(*nobody, b"icmp comes back"))
            still_works(client, sock, address)


@pytest.mark.parametrize(("inbound", "host"), [("open", "127.0.0.1"), ("open6", "::1")])
def test_bnd_is_the_control_connections_local_address(server, inbound, host):
    with socket.create_connection((host, server.ports[inbound]), timeout=10) as control:
        code, relay = ask(control, ASSOCIATE, "::" if ":" in host else "0.0.0.0", 0)
        assert (code, relay[0]) == (0, host)
        assert relay[1] in bound_ports(server.daemon.workers())


def test_bnd_is_the_configured_public_address(server):
    with connect(server.ports["public"]) as control:
        code, relay = ask(control, ASSOCIATE, "0.0.0.0", 0)
        assert (code, relay[0]) == (0, "198.51.100.7")
        with udp() as client, destination() as (sock, address):
            client.connect(("127.0.0.1", relay[1]))
            still_works(client, sock, address)


def test_only_the_control_connections_address_may_send(server):
    with association(server.open) as (_, client, relay), destination() as (sock, address), udp("127.0.0.4") as stranger:
        stranger.sendto(datagram(*address, b"from a stranger"), relay)
        still_works(client, sock, address)
        stranger.sendto(datagram(*address, b"from a stranger"), relay)
        still_works(client, sock, address)


def test_only_the_port_that_the_request_named_may_send(server):
    with udp() as client, udp() as other, connect(server.open) as control, destination() as (sock, address):
        code, relay = ask(control, ASSOCIATE, *client.getsockname())
        assert code == 0
        other.sendto(datagram(*address, b"another port"), relay)
        client.connect(relay)
        still_works(client, sock, address)


def test_the_first_datagram_pins_the_port(server):
    with association(server.open) as (_, client, relay), destination() as (sock, address), udp() as late:
        still_works(client, sock, address)
        late.sendto(datagram(*address, b"late"), relay)
        still_works(client, sock, address)


def test_answers_come_only_from_peers_that_were_written_to(server):
    with association(server.open) as (_, client, _relay), destination() as (sock, address), udp() as stranger:
        client.send(datagram(*address, b"x"))
        _, outward = sock.recvfrom(100)
        stranger.sendto(b"unasked", outward)
        with udp("127.0.0.4") as another:
            another.sendto(b"unasked", outward)
        sock.sendto(b"asked", outward)
        assert client.recv(100) == datagram(*address, b"asked")
        client.send(datagram(*stranger.getsockname(), b"x"))
        assert stranger.recvfrom(100) == (b"x", outward), "one socket, so that NAT traversal works"
        stranger.sendto(b"asked now", outward)
        assert client.recv(100) == datagram(*stranger.getsockname(), b"asked now")


def test_the_guard_judges_every_datagram_after_resolution(guarded, dns):
    dns.records["private.udp.test"] = ["127.0.0.1", "::1"]
    with association(guarded.open) as (control, client, _relay), destination() as (sock, (host, port)):
        for target in (host, "localhost", "private.udp.test", "::ffff:127.0.0.1"):
            client.send(datagram(target, port, b"forbidden"))
        client.send(datagram("marker.udp.test", port))
        until(lambda: ("marker.udp.test", 1) in dns.asked)  # all before it were judged
        guarded.daemon.wait_for("datagram refused", "err")
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(100)
        control.setblocking(False)
        with pytest.raises(BlockingIOError):
            control.recv(1)


def test_the_rule_judges_every_datagram_by_address_and_by_name(server, dns):
    """What the routes send through an upstream does not go out directly."""
    dns.records["a.upstream.test"] = ["127.0.0.1"]
    dns.records["b.elsewhere.test"] = ["127.0.0.9"]
    with (
        association(server.open) as (_, client, _relay),
        destination() as (sock, address),
        destination("127.0.0.9") as (
            routed,
            (_host, port),
        ),
    ):
        client.send(datagram("127.0.0.9", port, b"routed"))
        client.send(datagram("b.elsewhere.test", port, b"routed"))
        client.send(datagram("a.upstream.test", address[1], b"routed"))
        client.send(datagram("127.0.0.1", address[1], b"direct"))
        assert sock.recv(100) == b"direct"
        client.send(datagram("marker2.udp.test", 9))
        until(lambda: ("marker2.udp.test", 1) in dns.asked)
        still_works(client, sock, address)
        routed.setblocking(False)
        with pytest.raises(BlockingIOError):
            routed.recv(100)


@pytest.mark.parametrize("how", ["close", "shutdown", "reset"])
def test_it_ends_with_the_control_connection_and_its_sockets_are_released(server, how):
    before = bound_ports(server.daemon.workers())
    with (
        association(server.open) as (control, client, relay),
        destination() as (sock, address),
        destination("::1") as (
            sock6,
            address6,
        ),
    ):
        still_works(client, sock, address)
        still_works(client, sock6, address6)
        assert len(bound_ports(server.daemon.workers()) - before) == 3, "the relay, and one for each family"
        if how == "shutdown":
            control.shutdown(socket.SHUT_WR)
        elif how == "reset":
            control.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            control.close()
        else:
            control.close()
        until(lambda: not bound_ports(server.daemon.workers()) - before)
        assert relay[1] not in bound_ports(server.daemon.workers())


def test_many_associations_leave_no_socket(server):
    before = bound_ports(server.daemon.workers())
    controls = []
    for _ in range(100):
        controls.append(connect(server.open))
        assert ask(controls[-1], ASSOCIATE, "0.0.0.0", 0)[0] == 0
    assert len(bound_ports(server.daemon.workers()) - before) == 100
    for control in controls:
        control.close()
    until(lambda: bound_ports(server.daemon.workers()) <= before)


def test_what_is_said_on_the_control_connection_does_not_end_it(server):
    with association(server.open) as (control, client, _relay), destination() as (sock, address):
        control.sendall(b"x" * 100_000)
        still_works(client, sock, address)


def test_datagrams_are_counted():
    with running_plane() as plane, destination() as (sock, address), udp() as client:
        with plane.connect() as control:
            login(control)
            control.sendall(socks5(ASSOCIATE, "0.0.0.0", 0))
            _, relay = read_reply(control)
            client.connect(relay)
            still_works(client, sock, address)
            client.send(datagram(*address, b"more"))
            assert sock.recv(100) == b"more"
        (session,) = plane.ended()
        assert (session.bytes_sent, session.bytes_received) == (8, 6)
        assert (session.packets_sent, session.packets_received) == (2, 1)


def test_a_destination_that_was_allowed_is_judged_anew_when_the_rules_change():
    with running_plane() as plane, destination() as (sock, address), udp() as client, plane.connect() as control:
        login(control)
        control.sendall(socks5(ASSOCIATE, "0.0.0.0", 0))
        client.connect(read_reply(control)[1])
        still_works(client, sock, address)
        plane.do(lambda: plane.core.apply(snapshot(2, private_destinations=False)) or True)
        client.send(datagram(*address, b"forbidden now"))
        plane.until(lambda: [log.event for log in plane.logs] == ["datagram refused"])
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(100)
