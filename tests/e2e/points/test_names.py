"""What implementations get wrong about names: the proxy resolves them, once, and judges every address."""

import socket
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.clients import CONNECT, ask, connect, http_connect, read_head, read_reply4, socks4, tunnel
from tests.support.dns import AAAA, A
from tests.support.plane import read_all, read_exactly, running_plane, snapshot
from tests.support.servers import busy_port, echo, tcp_server, unused_port
from vpn.domain.egress import Resolving


def questions(dns, name):
    return sorted(kind for asked, kind in dns.asked if asked == name)


@contextmanager
def both_families(busy, free):
    """One port that nobody answers on at the first host, and somebody does at the second."""
    for _ in range(20):
        with busy_port(busy) as listener:
            try:
                family = socket.AF_INET6 if ":" in free else socket.AF_INET
                server = socket.create_server((free, listener.port), family=family)
            except OSError:
                continue
            with server:
                server.settimeout(10)
                yield listener.port, server
                return
    raise AssertionError("no port is free in both families")


def test_names_are_resolved_by_the_proxy_for_every_protocol(server, dns, echo_port):
    """The name is nobody's but the proxy's name server's."""
    dns.records["only-here.test"] = ["127.0.0.1"]
    with tunnel(server.open, echo_port, "only-here.test") as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
    with connect(server.open) as client:
        client.sendall(socks4(CONNECT, "only-here.test", echo_port))
        assert read_reply4(client)[0] == 90
    with connect(server.open) as client:
        client.sendall(http_connect(echo_port, "only-here.test"))
        assert read_head(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_families_are_asked_for_and_used(server, dns, host):
    name = f"family{len(host)}.test"
    dns.records[name] = [host]
    with tcp_server(echo, host) as port, tunnel(server.open, port, name) as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
    assert set(questions(dns, name)) == {A, AAAA}


@pytest.mark.parametrize(("dead", "alive"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_an_address_that_refuses_does_not_keep_the_other_from_being_tried(server, dns, dead, alive):
    name = f"refusing{len(dead)}.test"
    dns.records[name] = [dead, alive]
    with tcp_server(echo, alive) as port, tunnel(server.open, port, name) as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"


@pytest.mark.parametrize(("silent", "alive"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_an_address_that_is_silent_does_not_hold_up_the_other(server, dns, silent, alive):
    """Happy Eyeballs, RFC 8305. The inbound gives up connecting after half a second."""
    name = f"silent{len(silent)}.test"
    dns.records[name] = [silent, alive]
    with both_families(silent, alive) as (port, listener), tunnel(server.ports["short"], port, name) as client:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"me")
            assert read_exactly(client, 2) == b"me"


def test_there_is_no_second_lookup(server, dns, echo_port):
    """Not even of a name whose records may not be kept."""
    dns.records["once.test"] = ["127.0.0.1"]
    with tunnel(server.open, echo_port, "once.test"):
        assert questions(dns, "once.test") == [A, AAAA]


def test_the_address_that_passed_is_the_one_connected_to(server, dns):
    """There is one answer alone, so that records which change afterwards lead nowhere else (DNS rebinding)."""
    seen = []

    def note(connection):
        seen.append(connection.getsockname()[0])

    dns.records["rebinding.test"] = ["127.0.0.7"]
    with tcp_server(note, "127.0.0.7") as port, connect(server.open) as client:
        assert ask(client, CONNECT, "rebinding.test", port)[0] == 0
        read_all(client)
    assert seen == ["127.0.0.7"]
    assert questions(dns, "rebinding.test") == [A, AAAA]


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["::1"], ["10.0.0.1", "::1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1", "127.0.0.1"]]
)
def test_the_guard_judges_what_a_name_resolves_to(guarded, dns, echo_port, addresses):
    name = f"guarded{abs(hash(tuple(addresses)))}.test"
    dns.records[name] = addresses
    with connect(guarded.open) as client:
        assert ask(client, CONNECT, name, echo_port)[0] == 2
    assert questions(dns, name) == [A, AAAA]


@contextmanager
def listening_everywhere(hosts):
    """One port that is listened on at all of these."""
    for _ in range(20):
        with ExitStack() as stack:
            port = 0
            try:
                for host in hosts:
                    family = socket.AF_INET6 if ":" in host else socket.AF_INET
                    listener = stack.enter_context(socket.create_server((host, port), family=family))
                    port = listener.getsockname()[1]
            except OSError:
                continue
            yield port
            return
    raise AssertionError("no port is free everywhere")


def test_every_resolved_address_is_judged_and_only_those_that_pass_are_tried(dns, monkeypatch):
    """Of four addresses one passes, which is not the first. At all of them somebody would answer."""
    monkeypatch.setattr("vpn.domain.guard.special_kind", lambda packed: None if packed[-1] == 3 else "private")
    hosts = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "::1"]
    dns.records["mixed.test"] = hosts
    with running_plane(open_to=("127.0.0.0/8",)) as plane, listening_everywhere(hosts) as port:
        resolving = {"servers": (f"127.0.0.1:{dns.port}",)}
        plane.do(lambda: plane.core.apply(resolved_by(resolving)) or True)
        with connect(plane.port) as client:
            assert ask(client, CONNECT, "mixed.test", port)[0] == 0
            assert plane.do(lambda: [each.session.address for each in plane.core.connections]) == ["127.0.0.3"]


def resolved_by(resolving):
    return snapshot(2, private_destinations=False, resolving=Resolving(**resolving))


def test_a_name_that_resolves_to_nothing_is_not_found(server, dns):
    dns.records["empty.test"] = []
    for name in ("empty.test", "nothing.test", "a" * 64 + ".test", "..", "-"):
        with connect(server.open) as client:
            assert ask(client, CONNECT, name, unused_port())[0] == 4
