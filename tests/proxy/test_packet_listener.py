"""Shadowsocks' datagrams, over real sockets."""

import errno
import os
import socket
import time
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.plane import put_off_names
from tests.support.servers import udp_echo
from tests.support.shadowsocks_packets import SECRETS, PacketClient, client_socket, entry_of, open_packets, told
from tests.support.upstreams import route, upstream
from vpn.domain.egress import Resolving
from vpn.domain.inbound import Timeouts
from vpn.domain.policy import GroupRules, Policy, Rule
from vpn.domain.shadowsocks import METHODS
from vpn.proxy import control, datagrams, packet_listener, packet_session, packet_sessions, waiting
from vpn.proxy.control import SnapshotLimits, SnapshotUser
from vpn.proxy.recognition import Found

OLD, IDENTIFIED, NONCED = "aes-128-gcm", "2022-blake3-aes-128-gcm", "2022-blake3-chacha20-poly1305"
KINDS = (OLD, IDENTIFIED, NONCED)
NEW = (IDENTIFIED, NONCED)


class Phone:
    """A client with a socket of its own."""

    def __init__(self, plane, listener, sock, client):
        self.plane, self.listener, self.sock, self.client = plane, listener, sock, client

    def say(self, port, data, host="127.0.0.1", **fields):
        packet = self.client.seal(host, port, data, **fields)
        self.sock.send(packet)
        return packet

    def hear(self, sock=None):
        return self.client.open((sock or self.sock).recv(70_000))

    def silent(self, sock=None):
        """Nothing comes, though all that was sent before has been seen."""
        self.plane.do(lambda: True)
        sock = sock or self.sock
        sock.settimeout(0.15)
        with pytest.raises(TimeoutError):
            sock.recv(100)
        sock.settimeout(5)


@contextmanager
def phone(plane, method, user="alice", source="127.0.0.1", listener=None, **inbound):
    listener = listener or open_packets(plane, method, **inbound)
    with client_socket(listener, source) as sock:
        yield Phone(plane, listener, sock, PacketClient(method, SECRETS[user]))


def live(plane):
    return plane.do(lambda: list(plane.core.connections))


def end_all(plane, count=1):
    plane.do(lambda: [each.cut("terminated") for each in list(plane.core.connections)] or True)
    return plane.ended(count)


def nothing_is_left(plane, listener):
    plane.until(lambda: not plane.core.connections)
    plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners) + len(plane.core.resolver._watched))
    assert [plane.counters.total(column) for column in (0, 2)] == [0, 0]
    table = listener._sessions
    assert not any((table._sessions, table._by_source, table._there, table._of))


def counted(plane, name, number):
    plane.until(lambda: getattr(plane.core.counters, name) == number)


# --- relaying


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [0, 1, 1400, 60_000])
def test_datagrams_go_both_ways(plane, method, size):
    with udp_echo() as port, phone(plane, method) as client:
        for _ in range(3):
            client.say(port, b"x" * size)
            assert client.hear() == ("127.0.0.1", port, b"x" * size)
        (session,) = end_all(plane)
    assert (session.user, session.protocol, session.inbound) == ("alice", "shadowsocks", "phones")
    assert (session.packets_sent, session.packets_received) == (3, 3)
    assert (session.bytes_sent, session.bytes_received) == (3 * size, 3 * size)
    assert plane.moved() == (3 * size, 3 * size)
    nothing_is_left(plane, client.listener)


@pytest.mark.parametrize("method", METHODS)
def test_several_users_on_one_port_and_one_address(plane, method):
    with (
        udp_echo() as port,
        phone(plane, method, "bob") as bob,
        phone(plane, method, "alice", listener=bob.listener) as alice,
    ):
        for client in (bob, alice, bob, alice):
            client.say(port, b"x")
            assert client.hear()[2] == b"x"
        assert sorted(each.user for each in end_all(plane, 2)) == ["alice", "bob"]


@pytest.mark.parametrize("method", KINDS)
def test_one_socket_of_two_users(plane, method):
    """Two people behind one address translator."""
    with udp_echo() as port, phone(plane, method, "bob") as bob:
        alice = Phone(plane, bob.listener, bob.sock, PacketClient(method, SECRETS["alice"]))
        for client in (bob, alice, alice, bob):
            client.say(port, b"x")
            assert client.hear()[2] == b"x"
        assert len(live(plane)) == 2


@pytest.mark.parametrize("method", KINDS)
def test_several_destinations_and_families(plane, method):
    with udp_echo() as first, udp_echo() as second, udp_echo("::1") as sixth, phone(plane, method) as client:
        hosts = Resolving(hosts={"a.test": ("::1", "127.0.0.1")})
        plane.do(lambda: plane.core.apply(told(3, resolving=hosts)) or True)
        for host, port, heard in (
            ("127.0.0.1", first, "127.0.0.1"),
            ("127.0.0.1", second, "127.0.0.1"),
            ("::1", sixth, "::1"),
            ("a.test", first, "127.0.0.1"),  # the client's own family first
        ):
            client.say(port, host.encode(), host)
            assert client.hear() == (heard, port, host.encode())
        assert len(live(plane)) == 1


def test_a_listener_of_the_sixth_version(plane):
    listener = open_packets(plane, IDENTIFIED, "::1")
    with udp_echo() as port, phone(plane, IDENTIFIED, source="::1", listener=listener) as client:
        client.say(port, b"x")
        assert client.hear() == ("127.0.0.1", port, b"x")


@pytest.mark.parametrize("method", KINDS)
def test_answers_come_from_the_address_that_was_written_to(plane, method):
    listener = open_packets(plane, method, "0.0.0.0")
    with udp_echo() as port:
        for address in ("127.0.0.5", "127.0.0.6"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(5)
                sock.connect((address, listener.sock.getsockname()[1]))  # and hears nobody else
                client = PacketClient(method, SECRETS["bob"])
                for _ in range(2):
                    sock.send(client.seal("127.0.0.1", port, b"x"))
                    assert client.open(sock.recv(2000)) == ("127.0.0.1", port, b"x")


def test_answers_come_from_the_address_that_was_written_to_in_the_sixth_version(plane):
    listener = open_packets(plane, OLD, "::")
    with udp_echo() as port, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("::1", listener.sock.getsockname()[1]))
        client = PacketClient(OLD, SECRETS["bob"])
        sock.send(client.seal("127.0.0.1", port, b"x"))
        assert client.open(sock.recv(2000)) == ("127.0.0.1", port, b"x")
        assert plane.do(lambda: [each._local[0][1] for each in plane.core.connections]) == [socket.IPV6_PKTINFO]


def test_answers_come_only_from_whom_was_written_to(plane):
    with udp_echo() as port, phone(plane, OLD) as client:
        client.say(port, b"twice")
        assert client.hear()[2] == b"twice"
        client.silent()


@pytest.mark.parametrize("method", NEW)
def test_the_servers_session_is_its_own_and_its_numbers_count_up(plane, method):
    with udp_echo() as port, phone(plane, method) as client:
        for padding in (b"", b"p" * 900, b""):
            client.say(port, b"x", padding=padding)
            client.hear()
    assert client.client.server_numbers == [0, 1, 2]
    assert len(set(client.client.server_sessions)) == 1
    assert client.client.server_sessions[0] != client.client.session


@pytest.mark.parametrize("method", KINDS)
def test_an_answer_that_does_not_fit_is_dropped_and_counted(plane, method):
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        phone(plane, method) as client,
    ):
        server.bind(("127.0.0.1", 0))
        client.say(server.getsockname()[1], b"x")
        _, peer = server.recvfrom(100)
        server.sendto(bytes(65_507), peer)
        counted(plane, "datagrams_dropped", 1)
        server.sendto(b"fits", peer)
        assert client.hear()[2] == b"fits"
        assert end_all(plane)[0].packets_received == 1


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("held", [b"", b"\1", b"\2" + bytes(30), b"\1\x7f\0\0\1\0\0x", b"\3\0\0\x50", b"\3\xffshort"])
def test_what_is_authentic_and_malformed_ends_nothing(plane, method, held):
    with udp_echo() as port, phone(plane, method) as client:
        client.sock.send(client.client.seal_raw(held))
        client.say(port, b"good")
        assert client.hear()[2] == b"good"
        (session,) = end_all(plane)
    assert session.packets_sent == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "inside.test", "10.0.0.1", "::ffff:127.0.0.1"])
def test_the_guard_holds_for_every_datagram(plane, host):
    with udp_echo() as port, phone(plane, IDENTIFIED) as client:
        hosts = Resolving(hosts={"inside.test": ("127.0.0.1",)})
        plane.do(lambda: plane.core.apply(told(3, private_destinations=False, resolving=hosts)) or True)
        for _ in range(3):
            client.say(port, b"x", host)
        client.silent()
        assert end_all(plane)[0].packets_sent == 0
    assert [log.event for log in plane.logs] == ["datagram refused"]


@pytest.mark.parametrize("method", KINDS)
def test_rules_hold_for_every_datagram_and_from_the_next_one_on(plane, method):
    with udp_echo() as port, udp_echo() as other, phone(plane, method) as client:
        client.say(port, b"x")
        assert client.hear()[2] == b"x"
        rule = Rule(action="block", destinations=("127.0.0.1",), ports=(str(port),), protocols=("udp",))
        policy = Policy("allow", groups={"everyone": GroupRules((rule,))})
        plane.do(lambda: plane.core.rules.work_from(control.Rules(1, policy), lambda _: None) or True)
        plane.until(lambda: not plane.core.policy.allows_all)
        client.say(port, b"no")
        client.silent()
        client.say(other, b"yes")
        assert client.hear()[2] == b"yes"


def test_what_must_go_through_an_upstream_is_dropped(plane):
    with udp_echo() as port, phone(plane, OLD) as client:
        routes = (route("a", destinations=("127.0.0.1",)),)
        plane.do(lambda: plane.core.apply(told(3, upstreams=(upstream("a", 1),), routes=routes)) or True)
        client.say(port, b"x")
        client.silent()
        assert end_all(plane)[0].packets_sent == 0


# --- who may


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("said", ["nothing", "short", "noise", "long noise", "stranger", "damaged"])
def test_what_is_not_authentic_gets_nothing(plane, method, said):
    with udp_echo() as port, phone(plane, method) as client:
        stranger = PacketClient(method, "a-strangers-secret")
        good = client.client.seal("127.0.0.1", port, b"x")
        client.sock.send(
            {
                "nothing": b"",
                "short": good[:20],
                "noise": os.urandom(100),
                "long noise": os.urandom(60_000),
                "stranger": stranger.seal("127.0.0.1", port, b"x"),
                "damaged": good[:-1] + bytes([good[-1] ^ 1]),
            }[said]
        )
        counted(plane, "datagrams_unknown", 1)
        client.silent()
        assert live(plane) == []
        client.say(port, b"good")
        assert client.hear()[2] == b"good"


@pytest.mark.parametrize("method", NEW)
@pytest.mark.parametrize("fields", [{"kind": 1}, {"kind": 255}])
def test_what_a_server_would_say_is_not_taken(plane, method, fields):
    with udp_echo() as port, phone(plane, method) as client:
        client.say(port, b"x", **fields)
        client.silent()
        assert live(plane) == []


@pytest.mark.parametrize("method", NEW)
@pytest.mark.parametrize("ahead", [-31, 32, -3600, 1e9])
def test_a_clock_that_is_wrong_is_told_by_how_much(plane, method, ahead):
    with udp_echo() as port, phone(plane, method) as client:
        client.say(port, b"x", sent=time.time() + ahead)
        client.silent()
        assert live(plane) == []
        (line,) = plane.logs
    assert (line.event, line.fields["user"], line.fields["inbound"]) == ("a client's clock is wrong", "alice", "phones")
    assert abs(line.fields["offset"] - ahead) <= 2


@pytest.mark.parametrize("method", NEW)
def test_a_clock_may_be_a_little_wrong(plane, method):
    with udp_echo() as port, phone(plane, method) as client:
        for ahead in (-28, 28):
            client.say(port, b"x", sent=time.time() + ahead)
            assert client.hear()[2] == b"x"


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("why", ["user_expired", "over_quota"])
def test_who_may_not_connect_is_named_once(plane, method, why):
    with udp_echo() as port, phone(plane, method) as client:
        plane.do(lambda: plane.core.apply(told(3, blocked=why)) or True)
        for _ in range(3):
            client.say(port, b"x")
        client.silent()
        (session,) = plane.ended()
        assert (session.user, session.status, session.reason) == ("alice", "rejected_by_acl", why)
        nothing_is_left(plane, client.listener)
        plane.do(lambda: plane.core.apply(told(4)) or True)
        client.say(port, b"again")
        assert client.hear()[2] == b"again"


@pytest.mark.parametrize("method", KINDS)
def test_who_is_disabled_is_nobody(plane, method):
    with udp_echo() as port, phone(plane, method) as client:
        plane.do(lambda: plane.core.apply(told(3, blocked="user_disabled")) or True)
        client.say(port, b"x")
        counted(plane, "datagrams_unknown", 1)
        client.silent()
        assert plane.sessions == []


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("how", ["user_disabled", "user_expired", "user_removed", "key_changed", "over_quota"])
def test_who_may_no_longer_connect_is_cut(plane, method, how):
    with udp_echo() as port, phone(plane, method) as client:
        client.say(port, b"x")
        client.hear()
        if how == "over_quota":
            plane.end_quota()
        elif how == "user_removed":
            plane.do(lambda: plane.core.apply(told(3, {"bob": SECRETS["bob"]})) or True)
        elif how == "key_changed":
            plane.do(lambda: plane.core.apply(told(3, {"alice": "another"})) or True)
        else:
            plane.do(lambda: plane.core.apply(told(3, blocked=how)) or True)
        client.say(port, b"no more")
        client.silent()
        (session, *_) = plane.ended()
        assert (session.reason, session.packets_sent) == (how, 1)
        nothing_is_left(plane, client.listener)


@pytest.mark.parametrize("method", KINDS)
def test_limits_of_a_user_hold(plane, method):
    users = [SnapshotUser("alice", 1, limits=SnapshotLimits(max_connections=1), shadowsocks=SECRETS["alice"])]
    with udp_echo() as port, phone(plane, method) as first, phone(plane, method, listener=first.listener) as second:
        plane.do(lambda: plane.core.apply(control.Snapshot(3, users, told().egress)) or True)
        first.say(port, b"x")
        assert first.hear()[2] == b"x"
        second.say(port, b"x")
        second.silent()
        assert plane.ended()[0].reason == "too_many_connections_of_user"
        first.say(port, b"still")
        assert first.hear()[2] == b"still"


@pytest.mark.parametrize("method", KINDS)
def test_an_inbound_has_so_many_places(plane, method):
    with (
        udp_echo() as port,
        phone(plane, method, max_connections=1) as first,
        phone(plane, method, "bob", listener=first.listener) as second,
    ):
        first.say(port, b"x")
        first.hear()
        second.say(port, b"x")
        second.silent()
        assert (plane.ended()[0].user, plane.sessions[0].reason) == ("bob", "too_many_connections")
        assert plane.core.counters.over_capacity == 1


@pytest.mark.parametrize("bound", ["_MOST_SESSIONS", "_MOST_THERE", "_MOST_OF_USER"])
def test_sessions_are_bounded(plane, bound, monkeypatch):
    monkeypatch.setattr(packet_sessions, bound, 2)
    with udp_echo() as port, phone(plane, IDENTIFIED) as client:
        for _ in range(5):
            another = PacketClient(IDENTIFIED, SECRETS["alice"])
            client.sock.send(another.seal("127.0.0.1", port, b"x"))
        counted(plane, "over_capacity", 3)
        assert len(live(plane)) == 2
        end_all(plane, 3)
        nothing_is_left(plane, client.listener)


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("what", ["source", "user"])
def test_who_is_banned_hears_nothing(plane, method, what):
    bans = control.Bans(sources=["127.0.0.1"]) if what == "source" else control.Bans(users={"alice": []})
    with udp_echo() as port, phone(plane, method) as client:
        plane.do(lambda: plane.core.bans.replace(bans) or True)
        client.say(port, b"x")
        client.silent()
        assert live(plane) == []
        plane.do(lambda: plane.core.bans.replace(control.Bans()) or True)
        client.say(port, b"x")
        assert client.hear()[2] == b"x"


@pytest.mark.parametrize("method", [OLD, NONCED])
def test_a_newcomer_is_found_among_many_and_while_nobody_waits_too_long(plane, method):
    with udp_echo() as port, phone(plane, method) as client:
        crowd = {f"user{number}": f"secret {number}" for number in range(300)}
        plane.do(lambda: plane.core.apply(told(3, crowd | {"alice": SECRETS["alice"]})) or True)
        with client_socket(client.listener, "127.0.0.2") as stranger:
            for _ in range(10):
                stranger.send(os.urandom(100))
            client.say(port, b"x")
            assert client.hear()[2] == b"x"
        counted(plane, "datagrams_unknown", 10)
        plane.until(lambda: client.listener._waiting == 0)


@pytest.mark.parametrize("how", ["key", "method", "retired"])
def test_what_changes_while_keys_are_tried(plane, how):
    with udp_echo() as port, phone(plane, OLD) as client:
        waiting = []
        recognition = client.listener._recognition
        recognition.wait = lambda source, attempt, keys, done: waiting.append((attempt, list(keys), done)) or True
        client.say(port, b"x")
        plane.until(lambda: bool(waiting))
        ((attempt, keys, done),) = waiting
        if how == "key":
            plane.do(lambda: plane.core.apply(told(3, {"alice": "another"})) or True)
        elif how == "method":
            plane.do(lambda: client.listener.serve(entry_of(plane, 1, NONCED)) or True)
        else:
            plane.listeners.remove(client.listener)
            plane.do(lambda: client.listener.retire(0) or True)
        found = next(Found(key, held) for key in keys if (held := attempt(key)) is not None)
        plane.do(lambda: done(found) or True)
        assert live(plane) == []
        assert client.listener._waiting == 0


def test_so_many_bytes_may_wait(plane, monkeypatch):
    monkeypatch.setattr(packet_listener, "_MOST_WAITING", 250)
    with phone(plane, OLD) as client:
        client.listener._recognition.wait = lambda *_: True
        for _ in range(5):
            client.sock.send(os.urandom(100))
        counted(plane, "datagrams_dropped", 3)


# --- what has come before


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("source", ["same socket", "another port", "127.0.0.2"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_replay_gets_nothing_and_moves_nothing(plane, method, source, which):
    with udp_echo() as port, phone(plane, method) as client:
        said = []
        for data in (b"first", b"second"):
            said.append(client.say(port, data))
            assert client.hear()[2] == data
        with client_socket(client.listener, source if source[0] == "1" else "127.0.0.1") as other:
            spy = client.sock if source == "same socket" else other
            spy.send(said[which])
            counted(plane, "datagrams_replayed", 1)
            client.silent(spy)
        client.say(port, b"third")
        assert client.hear()[2] == b"third"
        assert end_all(plane)[0].packets_sent == 3
        assert len(plane.sessions) == 1


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("ended", [False, True])
def test_a_replay_at_another_inbound_of_the_method(plane, method, which, ended):
    with udp_echo() as port, phone(plane, method) as client, phone(plane, method) as elsewhere:
        said = []
        for data in (b"first", b"second"):
            said.append(client.say(port, data))
            assert client.hear()[2] == data
        if ended:
            end_all(plane)
        elsewhere.sock.send(said[which])
        counted(plane, "datagrams_replayed", 1)
        elsewhere.silent()
        elsewhere.say(port, b"of its own")
        assert elsewhere.hear()[2] == b"of its own"


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("which", [0, 1])
def test_a_replay_when_the_session_has_ended(plane, method, which):
    with udp_echo() as port, phone(plane, method) as client:
        said = [client.say(port, b"x"), client.say(port, b"y")]
        client.hear()
        client.hear()
        end_all(plane)
        client.sock.send(said[which])
        counted(plane, "datagrams_replayed", 1)
        client.silent()
        client.say(port, b"goes on")
        assert client.hear()[2] == b"goes on"


@pytest.mark.parametrize("method", KINDS)
def test_a_replay_of_what_began_a_session_is_known_after_a_restart(plane, method):
    with udp_echo() as port, phone(plane, method) as client:
        said = client.say(port, b"x")
        client.hear()
        end_all(plane)
        listener = open_packets(plane, method)  # with a memory of its own
        with client_socket(listener) as sock:
            sock.send(said)
            counted(plane, "datagrams_replayed", 1)
            client.silent(sock)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("there", ["the same inbound", "another one"])
def test_our_own_words_played_back_get_nothing(plane, method, there):
    with udp_echo() as port, phone(plane, method) as client:
        client.say(port, b"x")
        answer = client.sock.recv(2000)
        assert client.client.open(answer)[2] == b"x"
        with client_socket(client.listener if there == "the same inbound" else open_packets(plane, method)) as spy:
            spy.send(answer)
            client.silent(spy)
        (session,) = end_all(plane)
        assert session.packets_sent == 1


@pytest.mark.parametrize("method", NEW)
def test_numbers_may_come_in_any_order(plane, method):
    with udp_echo() as port, phone(plane, method) as client:
        for number in (5, 3, 4, 2000, 1999, 2**40, 2**64 - 1):
            client.say(port, str(number).encode(), number=number)
            assert client.hear()[2] == str(number).encode()
        client.say(port, b"late", number=2**40)
        counted(plane, "datagrams_replayed", 1)
        client.silent()


@pytest.mark.parametrize("method", NEW)
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_a_client_goes_on_from_another_address(plane, method, source):
    with udp_echo() as port, phone(plane, method) as client:
        client.say(port, b"here")
        assert client.hear()[2] == b"here"
        with client_socket(client.listener, source) as there:
            there.send(client.client.seal("127.0.0.1", port, b"there", number=7))
            assert client.hear(there)[2] == b"there"
            client.say(port, b"overtaken", number=5)  # from where it was, and late
            assert client.hear(there)[2] == b"overtaken"
            (session,) = end_all(plane)
        nothing_is_left(plane, client.listener)
    assert (session.source_host, session.packets_sent) == (source, 3)


@pytest.mark.parametrize("method", NEW)
def test_a_client_may_not_go_on_from_everywhere(plane, method):
    limits = SnapshotLimits(sources=("127.0.0.1/32",))
    users = [SnapshotUser("alice", 1, limits=limits, shadowsocks=SECRETS["alice"])]
    with udp_echo() as port, phone(plane, method) as client:
        plane.do(lambda: plane.core.apply(control.Snapshot(3, users, told().egress)) or True)
        client.say(port, b"x")
        client.hear()
        with client_socket(client.listener, "127.0.0.2") as there:
            there.send(client.client.seal("127.0.0.1", port, b"x"))
            client.silent(there)
        (session,) = plane.ended()
        assert session.reason == "source_not_allowed"
        nothing_is_left(plane, client.listener)


# --- rates, quota, time


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("way", ["up", "down"])
def test_datagrams_wait_where_nothing_may_go_and_arrive_in_order_when_something_may(plane, method, way):
    said = [bytes([number]) * 1000 for number in range(40)]
    with udp_echo() as port, phone(plane, method) as client:
        client.say(port, b"known")
        client.hear()
        plane.limit(**{way: 1})
        for data in said:
            client.say(port, data)
        plane.until(lambda: plane.hungry > 0)
        assert 0 < plane.moved()[way == "down"] <= 18 * 1024
        plane.limit()
        assert [client.hear()[2] for _ in said] == said
        plane.until(lambda: plane.moved() == (40_005, 40_005))


def test_so_many_may_wait(plane, monkeypatch):
    monkeypatch.setattr(packet_session, "_MOST_QUEUED", 4)
    with udp_echo() as port, phone(plane, IDENTIFIED) as client:
        plane.limit(up=1)
        for _ in range(40):
            client.say(port, bytes(1000))
        plane.until(lambda: plane.core.counters.datagrams_dropped > 10)
        (session,) = live(plane)
        assert len(session._queue) == 4
        plane.do(lambda: session.expire() or True)
        assert not session.session.ended, "it is not idle"
        plane.do(lambda: session.cut("terminated") or True)
        assert not session.client.account.up._waiting
        nothing_is_left(plane, client.listener)


@pytest.mark.parametrize("what", ["the rate", "a name"])
def test_what_waits_is_bounded_over_all_sessions_of_a_user(plane, monkeypatch, what):
    monkeypatch.setattr(waiting, "MOST", 100_000)
    late, listener = put_off_names(plane), open_packets(plane, OLD)
    host = "127.0.0.1" if what == "the rate" else "slow.test"
    plane.limit(up=what == "the rate")
    with ExitStack() as stack:
        phones = [stack.enter_context(phone(plane, OLD, listener=listener)) for _ in range(5)]
        for client in phones * 20:
            client.say(9, bytes(5000), host)
        plane.until(lambda: len(plane.core.connections) == 5)
        end = phones[0].client.seal_raw(b"?")
        phones[0].sock.send(end)
        recent = listener._sessions.memory.recent
        plane.until(lambda: recent._new and not recent.fresh(end[:16]))
        assert 80_000 < plane.do(lambda: plane.core.waiting.total) <= 100_000
        with udp_echo() as port, phone(plane, OLD, "bob", listener=listener) as bob:
            plane.limit()
            bob.say(port, b"x")
            assert bob.hear()[2] == b"x"
        end_all(plane, 6)
        plane.do(lambda: [each([]) for each in late] or True)
        assert plane.do(lambda: plane.core.waiting.total) == 0
    nothing_is_left(plane, listener)


def test_the_sessions_of_a_user_share_what_is_remembered_of_destinations(plane, monkeypatch):
    monkeypatch.setattr(packet_session, "_PEERS_OF_USER", 40)
    monkeypatch.setattr(packet_session, "_LEAST_PEERS", 5)
    listener = open_packets(plane, OLD)
    with udp_echo() as port, ExitStack() as stack:
        for count, most in ((1, 40), (2, 20), (3, 13), (10, 5)):
            while len(live(plane)) < count:
                client = stack.enter_context(phone(plane, OLD, listener=listener))
                client.say(port, b"x")
                assert client.hear()[2] == b"x"
            for number in range(50):
                client.say(9, b"x", f"127.0.1.{number + 1}")
            client.say(port, b"last")
            assert client.hear()[2] == b"last"
            source = client.sock.getsockname()
            session = plane.do(lambda source=source: listener._sessions.find_at(source))
            assert [len(each) for each in (session._targets, session._headers, session._requests)] == [most] * 3


@pytest.mark.parametrize("method", KINDS)
def test_the_quota_ends_in_the_middle(plane, method):
    with udp_echo() as port, phone(plane, method) as client:
        client.say(port, b"x")
        client.hear()
        late = put_off_names(plane)
        client.say(port, b"x", "slow.test")
        plane.until(lambda: bool(late))
        plane.end_quota()
        plane.do(lambda: late[0]([b"\x7f\0\0\1"]) or True)
        (session,) = plane.ended()
        assert (session.reason, session.packets_sent) == ("over_quota", 1)
        nothing_is_left(plane, client.listener)


@pytest.mark.parametrize("method", KINDS)
def test_silence_ends_a_session(plane, method):
    with udp_echo() as port, phone(plane, method, timeouts=Timeouts(udp=0.3)) as client:
        client.say(port, b"x")
        client.hear()
        assert plane.ended()[0].reason == "idle_timeout"
        nothing_is_left(plane, client.listener)
        client.say(port, b"again")
        assert client.hear()[2] == b"again"


# --- the inbound


@pytest.mark.parametrize("method", KINDS)
def test_another_key_ends_what_could_not_be_opened_any_more(plane, method):
    with udp_echo() as port, phone(plane, method) as client:
        client.say(port, b"x")
        client.hear()
        other = IDENTIFIED if method == OLD else OLD
        listener = client.listener
        plane.do(lambda: listener.serve(entry_of(plane, 1, method, timeouts=Timeouts(udp=9))) or True)
        client.say(port, b"still")
        assert client.hear()[2] == b"still"
        plane.do(lambda: listener.serve(entry_of(plane, 1, other)) or True)
        assert plane.ended()[0].reason == "inbound_removed"
        with phone(plane, other, listener=listener) as another:
            another.say(port, b"new")
            assert another.hear()[2] == b"new"


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("drain", [0, 30])
def test_who_has_a_session_when_the_inbound_goes_has_a_moment(plane, method, drain):
    with udp_echo() as port, phone(plane, method) as client:
        client.say(port, b"x")
        client.hear()
        plane.do(lambda: client.listener.retire(drain) or True)
        if drain:
            client.say(port, b"still")
            assert client.hear()[2] == b"still"
            with phone(plane, method, "bob", listener=client.listener) as late:
                late.say(port, b"x")
                late.silent()
            end_all(plane)
        assert plane.ended()[0].reason == ("terminated" if drain else "inbound_removed")
        plane.until(lambda: client.listener.sock.fileno() == -1)
        plane.listeners.remove(client.listener)
        nothing_is_left(plane, client.listener)


@pytest.mark.parametrize("method", KINDS)
@pytest.mark.parametrize("host", ["127.0.0.1", "a.test"])
def test_a_session_that_found_no_socket_finds_one_later(plane, monkeypatch, method, host):
    def refuse(_family):
        raise OSError(errno.EMFILE, "too many open files")

    with udp_echo() as port, phone(plane, method) as client:
        hosts = Resolving(hosts={"a.test": ("127.0.0.1",)})
        plane.do(lambda: plane.core.apply(told(3, resolving=hosts)) or True)
        with monkeypatch.context() as patch:
            patch.setattr(datagrams, "open_outward", refuse)
            client.say(port, b"lost", host)
            plane.until(lambda: len(plane.core.connections) == 1)
            client.silent()
        client.say(port, b"arrives", host)
        assert client.hear()[2] == b"arrives"


def test_a_port_with_nobody_behind_does_not_disturb(plane):
    """What the kernel tells of an answer that found nobody comes as an error of the socket."""
    with udp_echo() as port, phone(plane, OLD) as client:
        with phone(plane, OLD, "bob", listener=client.listener) as gone:
            gone.say(port, b"x")
        for _ in range(3):
            client.say(port, b"x")
            assert client.hear()[2] == b"x"
