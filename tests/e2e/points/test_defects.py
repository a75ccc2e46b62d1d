"""The defects of the proxy that this one replaces: each is a test that ours passes."""

import json
import socket
import threading
import urllib.error
import urllib.request

import pytest

from tests.e2e.points.conftest import OPEN, configured, serve
from tests.support.clients import (
    ASSOCIATE,
    BIND,
    CONNECT,
    ask,
    connect,
    greet,
    http_connect,
    read_head,
    read_reply,
    read_response,
    socks4,
    socks5,
    socks_address,
    tunnel,
)
from tests.support.daemon import running_daemon
from tests.support.origin import origin
from tests.support.plane import read_all, read_exactly, running_plane
from tests.support.servers import after_the_end, busy_port, echo, tcp_server, unused_port
from tests.support.waiting import until


def test_eof_on_one_side_does_not_cancel_the_other_direction(server):
    with tcp_server(after_the_end) as port, tunnel(server.open, port) as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == (8).to_bytes(8, "big") + bytes(1024 * 1024)


def test_bytes_behind_the_socks5_request_are_not_dropped(server, echo_port):
    with connect(server.open) as client:
        client.sendall(b"\x05\x01\x00" + socks5(CONNECT, "localhost", echo_port) + b"behind")
        assert read_exactly(client, 2) == b"\x05\x00"
        assert read_reply(client)[0] == 0
        assert read_exactly(client, 6) == b"behind"


@pytest.mark.parametrize("said", [b"", b"\x04", b"\x05\x01", b"CONNECT x:1 HT", b"GET http://x/ HTTP/1.1\r\nA: b\r\n"])
def test_there_is_a_handshake_timeout(server, said):
    with connect(server.ports["short"]) as client:
        client.sendall(said)
        assert read_all(client) == b""


def test_a_name_does_not_walk_round_an_address_block(guarded, dns, echo_port):
    """Whatever the command is, and by whatever protocol it is asked."""
    dns.records["walk.test"] = ["127.0.0.1", "::1"]
    for command in (CONNECT, BIND):
        with connect(guarded.open) as client:
            assert ask(client, command, "walk.test", echo_port)[0] == 2
    with connect(guarded.open) as client:
        client.sendall(socks4(CONNECT, "walk.test", echo_port))
        assert read_exactly(client, 2) == b"\x00\x5b"
    for said in (http_connect(echo_port, "walk.test"), f"GET http://walk.test:{echo_port}/ HTTP/1.1\r\n\r\n".encode()):
        with connect(guarded.open) as client:
            client.sendall(said)
            assert read_head(client).startswith(b"HTTP/1.1 403 ")
    # Datagrams: test_udp.py, test_the_guard_judges_every_datagram_after_resolution


def test_socks4s_userid_is_not_trusted_as_the_user(server, echo_port):
    with connect(server.daemon.port) as client:
        client.sendall(socks4(CONNECT, "127.0.0.1", echo_port, b"alice"))
        assert read_exactly(client, 2) == b"\x00\x5b"
    with running_plane(open_to=("127.0.0.0/8",)) as plane:
        with connect(plane.port) as client:
            client.sendall(socks4(CONNECT, "127.0.0.1", echo_port, b"alice"))
            assert read_exactly(client, 2) == b"\x00\x5a"
        assert plane.ended()[0].user == "anonymous"


def test_the_udp_rule_is_not_only_checked_on_the_associates_address(guarded):
    """ASSOCIATE names nobody who is guarded; the datagram does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, connect(guarded.open) as control:
        sock.bind(("127.0.0.1", 0))
        code, relay = ask(control, ASSOCIATE, "0.0.0.0", 0)
        assert code == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"\0\0\0" + socks_address(*sock.getsockname()) + b"x", relay)
            guarded.daemon.wait_for('"destination": "127.0.0.1".*datagram refused|datagram refused.*"127.0.0.1"', "err")
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(1)


def test_udps_bnd_addr_is_not_zero_and_its_traffic_is_counted(server):
    before = server.totals()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, connect(server.open) as control:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        _, relay = ask(control, ASSOCIATE, "0.0.0.0", 0)
        assert relay[0] == "127.0.0.1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.sendto(b"\0\0\0" + socks_address(*sock.getsockname()) + bytes(1000), relay)
            data, outward = sock.recvfrom(2000)
            assert len(data) == 1000
            sock.sendto(bytes(300), outward)
            assert len(client.recv(2000)) == 310

            def counted():
                now = server.totals()
                sent, received = (now[key] - before[key] for key in ("bytes_sent", "bytes_received"))
                return sent >= 1000 and received >= 300

            until(counted)


def test_not_every_connect_failure_is_4(server, guarded, echo_port):
    answers = {}
    with busy_port() as busy:
        for proxy, host, port in (
            (server.open, "127.0.0.1", unused_port()),
            (server.open, "127.255.255.255", 80),
            (server.open, "nobody.test", 80),
            (server.ports["short"], "127.0.0.1", busy.port),
            (guarded.open, "127.0.0.1", echo_port),
        ):
            with connect(proxy) as client:
                answers[host, port] = ask(client, CONNECT, host, port)[0]
    assert list(answers.values()) == [5, 3, 4, 4, 2]


def test_an_unknown_command_gets_an_answer(server):
    with connect(server.open) as client:
        assert ask(client, 0x42, "127.0.0.1", 80)[0] == 7
    with connect(server.open) as client:
        client.sendall(socks4(0x42, "127.0.0.1", 80))
        assert read_exactly(client, 2) == b"\x00\x5b"


def test_no_route_of_the_api_is_open_to_anyone(server):
    with urllib.request.urlopen(f"{server.daemon.api}/openapi.json", timeout=10) as answer:
        document = json.load(answer)
    routes = [(path, method) for path, methods in document["paths"].items() for method in methods]
    routes = [(path, method) for path, method in routes if path not in ("/health", "/ready")]
    assert len(routes) >= 7
    for path, method in routes:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YWxpY2U6czNjcmV0"}):
            url = server.daemon.api + path.replace("{", "").replace("}", "")
            request = urllib.request.Request(url, method=method.upper(), headers=headers)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=10)
            refused.value.close()
            assert refused.value.code == 401, (method, path)


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """Three workers, 20 places in all, of which one inbound may have 5."""
    directory = tmp_path_factory.mktemp("limited")
    text = f"""
proxy:
  workers: 3
  max_connections: 20
  inbounds:
    open: {{listen: '127.0.0.1:0', {OPEN}}}
    few: {{listen: '127.0.0.1:0', {OPEN}, max_connections: 5}}
"""
    with running_daemon(directory / "data", **configured(directory, text)) as daemon:
        yield serve(daemon)


def enter(port):
    """A client that has been greeted, or None where there is no place."""
    client = connect(port)
    try:
        client.sendall(b"\x05\x01\x00")
        if client.recv(2) == b"\x05\x00":
            return client
    except ConnectionError:
        pass
    client.close()
    return None


def enter_at_once(port, count):
    """Those who got a place of so many who came at the same moment."""
    inside = []
    start = threading.Barrier(count)

    def one():
        start.wait(10)
        client = enter(port)
        if client is not None:
            inside.append(client)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return inside


@pytest.mark.parametrize(("inbound", "most"), [("few", 5), ("open", 20)])
def test_max_connections_is_enforced_over_all_workers(limited, inbound, most):
    port = limited.ports[inbound]
    inside = []

    def full():
        while client := enter(port):
            inside.append(client)
        return len(inside) == most

    try:
        until(full)
        if inbound == "few":  # the other inbound has places left
            other = enter(limited.open)
            assert other is not None
            other.close()
        inside.pop().close()
        until(full)  # a place that was given back is a place
    finally:
        for client in inside:
            client.close()


def test_limits_are_not_check_then_increment(limited):
    """Many come at the same moment, to all workers, again and again: never do more get in than there are places."""
    for _ in range(10):
        inside = enter_at_once(limited.ports["few"], 30)
        assert len(inside) <= 5
        for client in inside:
            client.close()

    def all_free():
        inside = [client for client in (enter(limited.ports["few"]) for _ in range(5)) if client]
        for client in inside:
            client.close()
        return len(inside) == 5

    until(all_free)  # however often they raced, no place was lost


def test_closed_sessions_do_not_stay_in_memory():
    """Of each kind some: tunnels, refusals, requests forwarded, associations, BINDs, clients that say nothing."""
    with tcp_server(echo) as port, origin() as web, running_plane(open_to=("127.0.0.0/8",)) as plane:
        before = plane.do(lambda: len(plane.poller._handlers))
        for _ in range(20):
            with tunnel(plane.port, port) as client:
                client.sendall(b"x")
                assert read_exactly(client, 1) == b"x"
            with connect(plane.port) as client:
                assert ask(client, CONNECT, "127.0.0.1", unused_port())[0] == 5
            with connect(plane.port) as client:
                for _ in range(2):
                    client.sendall(web.get())
                    assert read_response(client)[1] == b"ok"
            for command in (ASSOCIATE, BIND):
                with connect(plane.port) as client:
                    assert ask(client, command, "0.0.0.0", 0)[0] == 0
            with connect(plane.port) as client:
                client.sendall(b"\x05")
            with connect(plane.port) as client:
                greet(client)
        plane.ended(20 * 8)
        core = plane.core
        plane.until(lambda: (len(core.connections), len(plane.poller._handlers)) == (0, before))
        assert plane.do(lambda: (core.report().active, core.recorder.waiting, plane.counters.total(0))) == (0, 0, 0)
        assert core._told._told == {}
        # Timers that were called off, and the sweep.
        plane.until(lambda: len(plane.poller._timers) < 10)


def test_a_used_upstream_stream_is_never_given_to_another_client(tmp_path, echo_port):
    """The upstream notes what each of its connections was asked for: one thing each, whoever came after whom."""
    asked = []

    def upstream(connection):
        """SOCKS5, up to the reply; then an echo that knows a further request when it sees one."""
        place = len(asked)
        asked.append(0)
        connection.sendall(b"\x05\x00" if connection.recv(100) == b"\x05\x01\x00" else b"")
        while data := connection.recv(100):
            if data.startswith(b"\x05\x01\x00"):
                asked[place] += 1
                data = b"\x05\x00\x00\x01" + bytes(6)
            connection.sendall(data)

    with tcp_server(upstream) as port:
        text = f"""
proxy:
  workers: 1
  inbounds: {{open: {{listen: '127.0.0.1:0', {OPEN}}}}}
  upstreams: {{parent: {{address: '127.0.0.1:{port}'}}}}
  routes: [{{upstreams: {{parent: 1}}}}]
  pool: {{max_idle_per_upstream: 3}}
"""
        with running_daemon(tmp_path / "data", **configured(tmp_path, text)) as daemon:
            pooled = serve(daemon)
            for number in range(12):
                with tunnel(pooled.open, echo_port) as client:
                    client.sendall(b"%d" % number)
                    assert read_exactly(client, len(b"%d" % number)) == b"%d" % number
                until(lambda: asked.count(0) >= 2)  # some were made in advance
    assert sum(asked) == 12
    assert max(asked) == 1
