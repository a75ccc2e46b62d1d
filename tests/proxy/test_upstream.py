"""Tunnels through parent proxies: ours, and some that misbehave."""

import os
import socket
import threading

import pytest

from tests.support.certificates import Authority
from tests.support.plane import login, read_all, read_exactly, running_plane
from tests.support.servers import hold, tcp_server, unused_port
from tests.support.upstreams import go_through, route, upstream
from tests.support.web import origin, read_message, request
from vpn.domain.egress import Pool, Resolving
from vpn.domain.inbound import TLS, Timeouts
from vpn.proxy import upstream as module

MIB = 1024 * 1024


@pytest.fixture
def parent():
    with running_plane() as running:
        yield running


def tls(files):
    return TLS(certificate=str(files.certificate), key=str(files.key))


def refusal(plane, port, host="127.0.0.1"):
    """SOCKS's reply to a request that is refused, and the session."""
    with plane.connect() as client:
        login(client)
        name = host.encode()
        client.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
        reply = read_all(client)[1]
    return reply, plane.ended(len(plane.sessions) + 1)[-1]


def reports(plane):
    return {each.name: each for each in plane.do(plane.core.outgoing.report)}


@pytest.mark.parametrize("protocol", ["socks5", "http", "https"])
def test_through_an_upstream(plane, parent, issuer, files, protocol, echo_port):
    if protocol == "https":
        parent.amend(tls=tls(files))
    go_through(plane, upstream("a", parent.port, protocol=protocol, ca=str(issuer.file)))
    payload = os.urandom(4 * MIB)
    with plane.tunnel(echo_port) as client:
        sender = threading.Thread(target=lambda: (client.sendall(payload), client.shutdown(socket.SHUT_WR)))
        sender.start()
        assert read_all(client) == payload
        sender.join(10)
    (session,) = plane.ended()
    assert (session.upstream, session.reason, session.bytes_received) == ("a", "eof", len(payload))
    assert parent.ended()[0].host == "127.0.0.1"
    assert (reports(plane)["a"].opened, reports(plane)["a"].failed) == (1, 0)


@pytest.mark.parametrize("protocol", ["socks5", "http"])
def test_a_server_that_speaks_first_is_heard(plane, parent, protocol):
    go_through(plane, upstream("a", parent.port, protocol=protocol))

    def greet(connection):
        connection.sendall(b"hello")
        read_all(connection)

    with tcp_server(greet) as port, plane.tunnel(port) as client:
        assert read_exactly(client, 5) == b"hello"


def test_forwarded_requests_go_through_too(plane, parent):
    go_through(plane, upstream("a", parent.port))
    with origin() as server, plane.connect() as client:
        for _ in range(2):
            client.sendall(request(server.port))
            assert read_message(client)[1] == b"/ "
    assert server.connections == 1
    assert [each.upstream for each in plane.ended(2)] == ["a", "a"]


def test_a_chain(plane, parent, issuer, files, echo_port):
    with running_plane(tls=tls(files)) as last:
        go_through(
            plane,
            upstream("last", last.port, protocol="https", ca=str(issuer.file), via="first"),
            upstream("first", parent.port),
        )
        with plane.tunnel(echo_port) as client:
            client.sendall(b"x" * MIB)
            assert read_exactly(client, MIB) == b"x" * MIB
        assert parent.ended()[0].port == last.port
        assert last.ended()[0].port == echo_port


def test_a_chain_whose_first_link_is_missing(plane, parent, echo_port):
    go_through(plane, upstream("last", parent.port, via="first"), upstream("first", unused_port()))
    assert refusal(plane, echo_port)[1].reason == "upstream_unreachable"
    assert [each.healthy for each in reports(plane).values()] == [False, False]


@pytest.mark.parametrize("protocol", ["socks5", "http"])
def test_wrong_credentials(plane, parent, echo_port, protocol):
    go_through(plane, upstream("a", parent.port, protocol=protocol, password="wrong"))
    reply, session = refusal(plane, echo_port)
    assert (reply, session.status, session.reason) == (1, "failed", "upstream_authentication_failed")


@pytest.mark.parametrize("protocol", ["socks5", "http"])
def test_a_destination_that_the_upstream_cannot_reach_is_not_the_upstreams_fault(plane, parent, echo_port, protocol):
    go_through(
        plane, upstream("a", parent.port, protocol=protocol), upstream("b", parent.port), routes=(route("a", "b"),)
    )
    reply, session = refusal(plane, unused_port())
    assert reply in (1, 5)
    assert session.reason.endswith("_by_upstream")
    assert all(each.healthy and not each.failed for each in reports(plane).values())
    assert len(parent.ended()) == 1, "one is enough to know"


@pytest.mark.parametrize(
    ("serve", "protocol", "reason"),
    [
        (lambda connection: None, "socks5", "upstream_gone"),
        (lambda connection: connection.recv(100), "http", "upstream_gone"),
        (lambda connection: (connection.sendall(b"SSH-2.0-x\r\n"), hold(connection)), "socks5", "upstream_bad_reply"),
        (lambda connection: (connection.sendall(b"SSH-2.0-x\r\n\r\n"), hold(connection)), "http", "upstream_bad_reply"),
        (lambda connection: (connection.sendall(b"SSH-2.0-x\r\n"), hold(connection)), "https", "upstream_tls_failed"),
        (lambda connection: None, "https", "upstream_gone"),
    ],
)
def test_what_is_no_upstream(plane, echo_port, serve, protocol, reason):
    with tcp_server(serve) as port:
        go_through(plane, upstream("a", port, protocol=protocol))
        assert refusal(plane, echo_port)[1].reason == reason
    plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners))


def test_a_certificate_of_somebody_else(plane, parent, issuer, echo_port, tmp_path):
    parent.amend(tls=tls(issuer.issue("other", "other.test")))
    for ca in (issuer, Authority(tmp_path)):
        go_through(plane, upstream("a", parent.port, protocol="https", ca=str(ca.file)))
        assert refusal(plane, echo_port)[1].reason == "upstream_tls_failed"


def test_an_upstream_that_stalls_is_given_up_for_another(plane, parent, monkeypatch, echo_port):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with tcp_server(hold) as port:
        go_through(plane, upstream("stalls", port), upstream("b", parent.port), routes=(route("stalls"),))
        assert refusal(plane, echo_port)[1].reason == "upstream_timed_out"
        go_through(
            plane,
            upstream("stalls", port),
            upstream("b", parent.port),
            routes=(route("stalls", "b"),),
        )
        for _ in range(5):
            with plane.tunnel(echo_port) as client:
                client.sendall(b"x")
                assert read_exactly(client, 1) == b"x"


def test_the_clients_patience_ends_what_an_upstream_does_not(plane, echo_port):
    """It greets, and then says nothing about the destination."""

    def serve(connection):
        connection.recv(100)
        connection.sendall(b"\x05\x00")
        hold(connection)

    plane.amend(timeouts=Timeouts(connect=0.3))
    with tcp_server(serve) as port:
        go_through(plane, upstream("a", port, user="", password=""))
        assert refusal(plane, echo_port)[0] == 4
    plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners))


@pytest.mark.parametrize("resolve", ["here", "there"])
def test_names_are_resolved_here_or_there(plane, parent, echo_port, resolve):
    hosts = Resolving(hosts={"a.test": ("127.0.0.1",)})
    go_through(
        plane, upstream("a", parent.port, resolve=resolve), resolving=hosts if resolve == "here" else Resolving()
    )
    if resolve == "there":
        parent.do(lambda: parent.core.resolver.configure(hosts) or True)
    with plane.tunnel(echo_port, host="a.test"):
        pass
    assert plane.ended()[0].host == "a.test"
    assert parent.ended()[0].host == ("127.0.0.1" if resolve == "here" else "a.test")


@pytest.mark.parametrize(("host", "resolve"), [("127.0.0.1", "there"), ("inside.test", "here")])
def test_the_guard_holds_for_what_we_know(plane, parent, host, resolve):
    hosts = Resolving(hosts={"inside.test": ("10.0.0.1", "127.0.0.1")})
    go_through(plane, upstream("a", parent.port, resolve=resolve), resolving=hosts, private_destinations=False)
    reply, session = refusal(plane, 80, host)
    assert (reply, session.status) == (2, "rejected_by_acl")
    assert parent.sessions == []


# --- connections made in advance


def waiting(plane, count=1):
    plane.until(lambda: sum(each.idle for each in plane.core.outgoing.report()) == count)


def use(plane, port):
    with plane.tunnel(port) as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"


@pytest.mark.parametrize("protocol", ["socks5", "http", "https"])
def test_the_next_connection_is_there_already_and_is_used_once(plane, parent, issuer, files, echo_port, protocol):
    if protocol == "https":
        parent.amend(tls=tls(files))
    made = upstream("a", parent.port, protocol=protocol, ca=str(issuer.file))
    go_through(plane, made, pool=Pool(max_idle_per_upstream=2))
    for number in range(3):
        use(plane, echo_port)
        waiting(plane, 2)
        assert reports(plane)["a"].reused == number
    assert reports(plane)["a"].opened == 5
    parent.ended(3)


def test_a_connection_that_waited_too_long_is_closed(plane, parent, echo_port):
    go_through(plane, upstream("a", parent.port), pool=Pool(max_idle_per_upstream=1, idle_timeout=0.2))
    use(plane, echo_port)
    waiting(plane, 1)
    waiting(plane, 0)
    plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners))


@pytest.mark.parametrize("told", [True, False])
def test_a_connection_that_died_waiting_is_replaced_unnoticed(plane, parent, echo_port, monkeypatch, told):
    go_through(plane, upstream("a", parent.port), pool=Pool(max_idle_per_upstream=1))
    use(plane, echo_port)
    waiting(plane)
    if not told:
        monkeypatch.setattr("vpn.proxy.pool.Pool._on_event", lambda self, fd: None)
    parent.do(lambda: [each.cut("test") for each in list(parent.core.connections)])
    if told:
        waiting(plane, 0)
    use(plane, echo_port)
    assert [each.reason for each in plane.ended(2)] == ["eof", "eof"]


def test_upstreams_that_are_gone_leave_nothing_behind(plane, parent, echo_port):
    go_through(plane, upstream("a", parent.port), pool=Pool(max_idle_per_upstream=3))
    use(plane, echo_port)
    waiting(plane, 3)
    go_through(plane, upstream("b", parent.port), pool=Pool(max_idle_per_upstream=3))
    plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners))
    assert list(reports(plane)) == ["b"]
