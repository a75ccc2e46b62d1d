import contextlib
import socket
import threading
import time
from collections import Counter

import pytest

from tests.support.plane import read_exactly
from tests.support.servers import after_the_end, hold, reset, tcp_server
from tests.support.shadowsocks import (
    QUICK,
    client,
    inbound_key,
    password,
    receive,
    receive_all,
    shadowsocks_plane,
    tell,
    users,
)
from tests.support.shadowsocks_client import IDENTIFIED, METHODS, NEW, OLD, ShadowsocksClient
from vpn.domain.acl import CompiledPolicy
from vpn.domain.inbound import Timeouts
from vpn.domain.policy_document import parse_policy
from vpn.domain.reasons import REASONS
from vpn.proxy import control
from vpn.proxy.unsealing import Unsealing

MIB = 1 << 20
OF_EACH_KIND = ("aes-128-gcm", "2022-blake3-aes-256-gcm", "2022-blake3-chacha20-poly1305")


def ended(plane, count=1):
    """The sessions that ended; their reasons are documented."""
    sessions = plane.ended(count)
    for session in sessions:
        assert session.status in REASONS[session.reason].statuses
    return sessions


def unknown(plane):
    """Clients who are nobody."""
    return [each for each in plane.core.connections if isinstance(each, Unsealing)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("user", ["alice", "bob"])
def test_a_user_gets_through(method, user, echo_port):
    with shadowsocks_plane(method) as plane, plane.connect() as sock:
        sealed = client(method, user)
        sock.sendall(sealed.request("127.0.0.1", echo_port, b"hello"))
        assert receive(sock, sealed, 5) == b"hello"
        sock.sendall(sealed.send(b"and more"))
        assert receive(sock, sealed, 8) == b"and more"
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
        session = ended(plane)[0]
        assert (session.protocol, session.user, session.reason) == ("shadowsocks", user, "eof")
        assert (session.host, session.port, session.address) == ("127.0.0.1", echo_port, "127.0.0.1")
        assert (session.bytes_sent, session.bytes_received) == (13, 13)
        assert plane.core.counters.accepted_remembered == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("payload", [b"", b"hello"])
def test_it_does_not_matter_how_the_bytes_come(method, payload, echo_port):
    with shadowsocks_plane(method) as plane, plane.connect() as sock:
        sealed = client(method)
        stream = sealed.request("localhost", echo_port, payload) + sealed.send(b" world", 2)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in stream:
            sock.sendall(bytes([byte]))
        assert receive(sock, sealed, len(payload) + 6) == payload + b" world"


@pytest.mark.parametrize("method", METHODS)
def test_all_that_comes_with_the_request_arrives(method, echo_port):
    with shadowsocks_plane(method) as plane, plane.connect() as sock:
        sealed = client(method)
        data = bytes(range(256)) * 100
        sock.sendall(sealed.request("127.0.0.1", echo_port, data[:9000]) + sealed.send(data[9000:], 700))
        assert receive(sock, sealed, len(data)) == data


@pytest.mark.parametrize("method", METHODS)
def test_megabytes_go_up_before_the_end_and_down_after_it(method):
    with shadowsocks_plane(method) as plane, tcp_server(after_the_end) as port, plane.connect() as sock:
        sealed = client(method)
        sock.sendall(sealed.request("127.0.0.1", port) + sealed.send(bytes(8 * MIB)))
        sock.shutdown(socket.SHUT_WR)
        assert receive_all(sock, sealed) == (8 * MIB).to_bytes(8, "big") + bytes(MIB)
        session = ended(plane)[0]
        assert (session.bytes_sent, session.bytes_received, session.reason) == (8 * MIB, MIB + 8, "eof")


@pytest.mark.parametrize("method", OF_EACH_KIND)
def test_a_reader_that_stops_now_and_then_gets_all(method):
    data = bytes(range(251)) * 40_000

    def serve(connection):
        connection.sendall(data)

    with shadowsocks_plane(method) as plane, tcp_server(serve) as port, plane.connect() as sock:
        sealed = client(method)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        sock.sendall(sealed.request("127.0.0.1", port))
        plane.until(lambda: any(each._down.pending for each in plane.core.connections if hasattr(each, "_down")))
        assert receive_all(sock, sealed) == data


def test_a_shaped_upload_comes_in_order():
    data = bytes(range(251)) * 1600
    got = []

    def serve(connection):
        while piece := connection.recv(65536):
            got.append(piece)

    method = "2022-blake3-aes-128-gcm"
    with shadowsocks_plane(method) as plane, tcp_server(serve) as port, plane.connect() as sock:
        plane.limit(up=1_000_000)
        sealed = client(method)
        sock.sendall(sealed.request("127.0.0.1", port) + sealed.send(data))
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
        assert b"".join(got) == data


@pytest.mark.parametrize("method", OF_EACH_KIND)
def test_who_is_over_quota_is_cut_in_the_middle(method):
    with shadowsocks_plane(method) as plane, tcp_server(hold) as port, plane.connect() as sock:
        sealed = client(method)
        sock.sendall(sealed.request("127.0.0.1", port, b"x"))
        plane.until(lambda: any(each.session.bytes_sent for each in plane.core.connections))
        plane.end_quota()
        sock.sendall(sealed.send(b"more"))
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        assert ended(plane)[0].reason == "over_quota"


@pytest.mark.parametrize("method", METHODS)
def test_who_may_not_connect_now_is_named_and_closed(method, echo_port):
    with shadowsocks_plane(method, *users("alice", bob="user_expired")) as plane, plane.connect() as sock:
        sock.sendall(client(method, "bob").request("127.0.0.1", echo_port, b"hello"))
        assert sock.recv(1) == b""
        session = ended(plane)[0]
        assert (session.user, session.status, session.reason) == ("bob", "rejected_by_acl", "user_expired")
        assert plane.core.counters.refused_by_limits == 1


def test_what_the_rules_forbid_is_closed(echo_port):
    policy = CompiledPolicy(parse_policy({"default": "block"}))
    with shadowsocks_plane("aes-256-gcm") as plane, plane.connect() as sock:
        plane.do(lambda: plane.core.set_policy(policy) or True)
        sock.sendall(client("aes-256-gcm").request("127.0.0.1", echo_port, b"hello"))
        assert sock.recv(1) == b""
        session = ended(plane)[0]
        assert (session.user, session.status, session.reason) == ("alice", "rejected_by_acl", "not_allowed")


def test_limits_count_here_too(echo_port):
    method = "2022-blake3-aes-128-gcm"
    limits = control.SnapshotLimits(max_connections=1)
    alice = control.SnapshotUser("alice", 1, slot=1, limits=limits, shadowsocks="secret of alice")
    with shadowsocks_plane(method, alice) as plane, plane.connect() as sock:
        sealed = client(method)
        sock.sendall(sealed.request("127.0.0.1", echo_port, b"hello"))
        assert receive(sock, sealed, 5) == b"hello"
        with plane.connect() as other:
            other.sendall(client(method).request("127.0.0.1", echo_port, b"hello"))
            assert other.recv(1) == b""
        assert ended(plane)[0].reason == "too_many_connections_of_user"


def test_a_user_of_one_inbound_is_turned_away_at_another(echo_port):
    limits = control.SnapshotLimits(inbounds=("another",))
    alice = control.SnapshotUser("alice", 1, slot=1, limits=limits, shadowsocks="secret of alice")
    with shadowsocks_plane("aes-256-gcm", alice) as plane, plane.connect() as sock:
        sock.sendall(client("aes-256-gcm").request("127.0.0.1", echo_port, b"hello"))
        assert sock.recv(1) == b""
        assert ended(plane)[0].reason == "inbound_not_allowed"


def test_where_the_destination_does_not_answer_the_client_is_closed():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with shadowsocks_plane("aes-256-gcm") as plane, plane.connect() as sock:
        sock.sendall(client("aes-256-gcm").request("127.0.0.1", port, b"hello"))
        assert sock.recv(1) == b""
        session = ended(plane)[0]
        assert (session.user, session.status, session.reason) == ("alice", "failed", "connection_refused")


def test_a_reset_of_the_destination_is_passed_on():
    with shadowsocks_plane("aes-256-gcm") as plane, tcp_server(reset) as port, plane.connect() as sock:
        sealed = client("aes-256-gcm")
        sock.sendall(sealed.request("127.0.0.1", port, b"x"))
        with pytest.raises(ConnectionResetError):
            receive(sock, sealed, 100)
        assert ended(plane)[0].reason == "reset"


@pytest.mark.parametrize("end", [b"", b"x" * 17, b"x" * 30])
def test_a_stream_that_ends_or_is_changed_in_the_middle_looks_broken_to_the_destination(end):
    seen = []

    def serve(connection):
        try:
            while data := connection.recv(100):
                seen.append(data)
            seen.append(b"the end")
        except ConnectionResetError:
            seen.append(b"reset")

    with shadowsocks_plane("aes-256-gcm") as plane, tcp_server(serve) as port, plane.connect() as sock:
        sealed = client("aes-256-gcm")
        sock.sendall(sealed.request("127.0.0.1", port, b"hello"))
        plane.until(lambda: b"hello" in seen)
        sock.sendall(end)
        with contextlib.suppress(OSError):  # the reset may be there already
            sock.shutdown(socket.SHUT_WR)
        ended(plane)
        plane.until(lambda: len(seen) > 1)
    assert seen == [b"hello", b"reset" if end else b"the end"]


def test_the_server_name_of_tls_within_is_seen(echo_port):
    from fuzz.targets import _hello

    with shadowsocks_plane("aes-256-gcm") as plane, plane.connect() as sock:
        sealed = client("aes-256-gcm")
        sock.sendall(sealed.request("127.0.0.1", echo_port, _hello()))
        receive(sock, sealed, len(_hello()))
        sock.shutdown(socket.SHUT_WR)
        assert ended(plane)[0].server_name == "a.test"


# --- those who know no key


def wrong_key(method):
    return ShadowsocksClient(method, password(method, "mallory")).request("127.0.0.1", 1, b"hello")


def other_inbound(method):
    key = inbound_key(method).replace("aWlp", "YWFh", 1)
    return ShadowsocksClient(method, f"{key}:{password(method).partition(':')[2]}").request("127.0.0.1", 1, b"hello")


def garbage(method):
    return bytes(range(256)) * 300


def silence(method):
    return b""


def probes(method):
    """What may be sent instead of a request, and why it is none."""
    yield wrong_key(method), "authentication_failed"
    yield garbage(method), "authentication_failed"
    yield silence(method), "handshake_timeout"
    yield client(method).request("127.0.0.1", 1)[:30], "handshake_timeout"
    yield client(method).request("127.0.0.1", 1, b"hello")[:-1], "handshake_timeout"
    yield client(method).request("127.0.0.1", 1, b"hello")[:-1] + b"?", "broken_chunk"
    if method in IDENTIFIED:
        yield other_inbound(method), "authentication_failed"
    if method in NEW:
        yield client(method, now=time.time() - 40).request("127.0.0.1", 1, b"x"), "clock_skew"
        yield client(method).request("127.0.0.1", 1, b"x", kind=1), "bad_sealed_header"
        yield client(method).request("127.0.0.1", 1, b"", padding=0), "bad_sealed_header"


@pytest.mark.parametrize("method", METHODS)
def test_who_knows_no_key_hears_nothing_until_the_time_is_over(method):
    with shadowsocks_plane(method, timeouts=QUICK) as plane, contextlib.ExitStack() as stack:
        sent = list(probes(method))
        socks = [stack.enter_context(plane.connect()) for _ in sent]
        for sock, (probe, _) in zip(socks, sent, strict=True):
            sock.sendall(probe)
        plane.until(lambda: len(unknown(plane)) == len(sent))
        for sock, (_, reason) in zip(socks, sent, strict=True):
            if reason != "handshake_timeout":
                sock.sendall(bytes(100_000))  # all is read
        for sock in socks:
            assert sock.recv(1) == b""  # an end, and no reset
        sessions = ended(plane, len(sent))
        reasons = Counter(reason for _, reason in sent)
        assert Counter(session.reason for session in sessions) == reasons
        assert plane.core.counters.handshake_errors == dict(reasons)
        for session in sessions:
            assert (session.status, session.protocol) == ("failed", "shadowsocks")
            assert session.ended - session.started >= QUICK.handshake
        assert not any(each.failed for each in plane.attempts)  # it makes no bans


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("probe", [wrong_key, garbage, silence])
def test_who_closes_is_closed_at_once(method, probe):
    with shadowsocks_plane(method) as plane, plane.connect() as sock:
        sock.sendall(probe(method))
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
        assert ended(plane)[0].reason == ("client_closed" if probe is silence else "authentication_failed")


@pytest.mark.parametrize("method", METHODS)
def test_what_is_played_back_is_nobodys(method, echo_port):
    with shadowsocks_plane(method, timeouts=QUICK) as plane:
        sealed = client(method)
        request = sealed.request("127.0.0.1", echo_port, b"hello")
        with plane.connect() as sock, plane.connect() as again:
            sock.sendall(request)
            assert receive(sock, sealed, 5) == b"hello"
            again.sendall(request)
            assert again.recv(1) == b""
        assert {(session.reason, session.user) for session in ended(plane, 2)} == {
            ("replayed", "alice"),
            ("eof", "alice"),
        }


@pytest.mark.parametrize("method", OF_EACH_KIND)
@pytest.mark.parametrize("change", ["disabled", "over quota", "another key", "removed"])
def test_what_becomes_of_a_user_does_not_show_in_what_is_played_back(method, change, echo_port):
    now = {
        "disabled": users("bob", alice=control.DISABLED),
        "over quota": users("bob", alice="over_quota"),
        "another key": [control.SnapshotUser("alice", 1, shadowsocks="secret of carol"), *users("bob")],
        "removed": users("bob"),
    }[change]
    with (
        shadowsocks_plane(method, timeouts=Timeouts(handshake=20)) as plane,
        plane.connect() as sock,
        plane.connect() as again,
    ):
        sealed = client(method)
        request = sealed.request("127.0.0.1", echo_port, b"hello")
        sock.sendall(request)
        assert receive(sock, sealed, 5) == b"hello"
        again.sendall(request)
        plane.until(lambda: any(getattr(each, "_reason", "") == "replayed" for each in plane.core.connections))
        tell(plane, now, 3)
        assert [session.reason for session in ended(plane)] != ["replayed"]
        assert plane.do(lambda: [each._reason for each in plane.core.connections]) == ["replayed"]
        again.shutdown(socket.SHUT_WR)
        assert again.recv(1) == b""
        (session,) = [session for session in ended(plane, 2) if session.reason == "replayed"]
        assert session.user == "alice"


@pytest.mark.parametrize("method", OLD)
def test_our_own_words_played_back_are_nobodys(method):
    with shadowsocks_plane(method, timeouts=QUICK) as plane, tcp_server(lambda sock: sock.sendall(b"\1" * 99)) as port:
        with plane.connect() as sock:
            sock.sendall(client(method).request("127.0.0.1", port, b"x"))
            ours = read_exactly(sock, 16 + 18 + 99 + 16)
        with plane.connect() as sock:
            sock.sendall(ours)
            assert sock.recv(1) == b""
        assert "replayed" in {session.reason for session in ended(plane, 2)}


def test_a_wrong_clock_is_told_of():
    with shadowsocks_plane("2022-blake3-aes-256-gcm", timeouts=QUICK) as plane, plane.connect() as sock:
        sock.sendall(client("2022-blake3-aes-256-gcm", now=time.time() + 3600).request("127.0.0.1", 1, b"x"))
        assert sock.recv(1) == b""
        line = next(line for line in plane.logs if "clock" in line.event)
        assert line.fields["user"] == "alice"
        assert abs(line.fields["offset"] - 3600) <= 2
        assert line.fields["inbound"] == "main"


@pytest.mark.parametrize("method", OF_EACH_KIND)
def test_a_banned_address_hears_nothing(method, echo_port):
    with shadowsocks_plane(method, timeouts=QUICK) as plane:
        plane.do(lambda: plane.core.bans.replace(control.Bans(sources=["127.0.0.1"])) or True)
        with plane.connect() as sock:
            sock.sendall(client(method).request("127.0.0.1", echo_port, b"hello"))
            assert sock.recv(1) == b""
        assert ended(plane)[0].reason == "source_banned"
        assert ended(plane)[0].ended - ended(plane)[0].started >= QUICK.handshake


@pytest.mark.parametrize("method", OF_EACH_KIND)
def test_a_banned_user_hears_nothing(method, echo_port):
    with shadowsocks_plane(method, timeouts=QUICK) as plane:
        plane.do(lambda: plane.core.bans.replace(control.Bans(users={"alice": []})) or True)
        with plane.connect() as sock:
            sock.sendall(client(method).request("127.0.0.1", echo_port, b"hello"))
            assert sock.recv(1) == b""
        assert (ended(plane)[0].reason, ended(plane)[0].user) == ("user_banned", "alice")


@pytest.mark.parametrize("method", METHODS)
def test_the_disabled_are_nobody(method, echo_port):
    with shadowsocks_plane(method, *users(alice=control.DISABLED), timeouts=QUICK) as plane, plane.connect() as sock:
        sock.sendall(client(method).request("127.0.0.1", echo_port, b"hello"))
        assert sock.recv(1) == b""
        assert (ended(plane)[0].reason, ended(plane)[0].user) == ("authentication_failed", "")


@pytest.mark.parametrize("method", OF_EACH_KIND)
def test_who_is_disabled_is_cut_and_another_secret_counts_at_once(method, echo_port):
    with shadowsocks_plane(method, timeouts=QUICK) as plane, plane.connect() as sock:
        sealed = client(method)
        sock.sendall(sealed.request("127.0.0.1", echo_port, b"hello"))
        assert receive(sock, sealed, 5) == b"hello"
        tell(plane, users("bob", alice=control.DISABLED), 3)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        tell(plane, [control.SnapshotUser("alice", 1, shadowsocks="secret of carol"), *users("bob")], 4)
        with plane.connect() as other:
            sealed = client(method, "carol")
            other.sendall(sealed.request("127.0.0.1", echo_port, b"hello"))
            assert receive(other, sealed, 5) == b"hello"
        assert ended(plane, 2)[1].user == "alice"


# --- many users


@pytest.mark.parametrize("method", [method for method in METHODS if method not in IDENTIFIED])
def test_the_last_users_of_an_address_are_tried_first(method, echo_port, monkeypatch):
    many = [f"user{number}" for number in range(300)]
    with shadowsocks_plane(method, *users(*many)) as plane:
        tried = []
        attempt = Unsealing._attempt
        monkeypatch.setattr(Unsealing, "_attempt", lambda self, key: tried.append(key.user) or attempt(self, key))
        for user in ["user250", "user3", "user250", "user3"]:
            with plane.connect() as sock:
                sealed = client(method, user)
                sock.sendall(sealed.request("127.0.0.1", echo_port, b"hello"))
                assert receive(sock, sealed, 5) == b"hello"
        assert tried == [*many[:251], "user250", *many[:4], "user3", "user250", "user250", "user3"]


def test_a_storm_of_garbage_does_not_keep_users_out(echo_port):
    method = "chacha20-ietf-poly1305"
    many = users(*(f"user{number}" for number in range(500)))
    with shadowsocks_plane(method, *many) as plane:
        stop = threading.Event()
        port = plane.port

        def storm():
            while not stop.is_set():
                with socket.socket() as sock:
                    sock.bind(("127.0.0.9", 0))
                    sock.connect(("127.0.0.1", port))
                    sock.sendall(bytes(100))

        stormers = [threading.Thread(target=storm) for _ in range(4)]
        for stormer in stormers:
            stormer.start()
        try:
            for user in ("user499", "user1", "user499"):
                with plane.connect() as sock:
                    sealed = client(method, user)
                    sock.sendall(sealed.request("127.0.0.1", echo_port, b"hello"))
                    assert receive(sock, sealed, 5) == b"hello"
        finally:
            stop.set()
            for stormer in stormers:
                stormer.join(10)


# --- load balancers, and other circumstances


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("apart", [False, True])
def test_behind_a_load_balancer(method, apart, echo_port):
    with shadowsocks_plane(method, trusted_proxies=("127.0.0.1",)) as plane, plane.connect() as sock:
        sealed = client(method)
        header = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1080\r\n"
        request = sealed.request("127.0.0.1", echo_port, b"hello")
        if apart:
            sock.sendall(header)
            plane.until(lambda: len(unknown(plane)) == 1)
            sock.sendall(request)
        else:
            sock.sendall(header + request)
        assert receive(sock, sealed, 5) == b"hello"
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
        assert (ended(plane)[0].source_host, ended(plane)[0].source_port) == ("203.0.113.7", 56324)


def test_the_time_counts_from_the_coming_behind_a_load_balancer_too():
    settings = {"trusted_proxies": ("127.0.0.1",), "timeouts": QUICK}
    with shadowsocks_plane("aes-256-gcm", **settings) as plane, plane.connect() as sock:
        plane.until(lambda: len(plane.core.connections) == 1)
        deadline = plane.do(lambda: next(iter(plane.core.connections)).deadline)
        sock.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1080\r\n")
        plane.until(lambda: len(unknown(plane)) == 1)
        assert plane.do(lambda: unknown(plane)[0].deadline) == deadline
        assert sock.recv(1) == b""


def test_those_who_are_nobody_go_with_the_inbound():
    with shadowsocks_plane("aes-256-gcm") as plane, plane.connect() as sock:
        sock.sendall(bytes(10))
        plane.until(lambda: len(unknown(plane)) == 1)
        plane.do(lambda: plane.core.cut_inbound(1) or True)
        assert sock.recv(1) == b""
        assert ended(plane)[0].reason == "inbound_removed"


def test_an_inbound_may_change_its_method(echo_port):
    with shadowsocks_plane("aes-256-gcm") as plane:
        method = "2022-blake3-aes-128-gcm"
        plane.amend(protocol="shadowsocks", method=method, key=inbound_key(method))
        with plane.connect() as sock:
            sealed = client(method)
            sock.sendall(sealed.request("127.0.0.1", echo_port, b"hello"))
            assert receive(sock, sealed, 5) == b"hello"


def test_a_worker_without_shadowsocks_does_without_its_ciphers():
    import subprocess
    import sys

    code = "import sys, vpn.proxy.worker; print({'blake3', 'cryptography', 'vpn.proxy.unsealing'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
