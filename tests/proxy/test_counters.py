"""What workers count, on its own and over real sockets."""

import errno
import mmap
import os
import ssl

import msgspec
import pytest

from tests.proxy.test_binder import come, listening
from tests.support.dns import name_server
from tests.support.plane import login, read_all, read_exactly, running_plane, snapshot
from vpn.domain.acl import CompiledPolicy
from vpn.domain.egress import Resolving
from vpn.domain.inbound import TLS
from vpn.domain.policy_document import parse_policy
from vpn.proxy import control, counters
from vpn.proxy.counters import LOOKUP_BOUNDS, MOST_KINDS, WorkerCounters, added, copied

NOTHING = WorkerCounters()


def counted(plane):
    return plane.do(lambda: plane.core.report().counters)


def test_counters_are_added_one_by_one():
    numbers = dict.fromkeys(WorkerCounters.__struct_fields__, 2)
    numbers["handshake_errors"] = {"a": 1, "b": 2}
    numbers["lookup_buckets"] = list(range(len(LOOKUP_BOUNDS) + 1))
    once = WorkerCounters(**numbers)
    twice = added(once, msgspec.structs.replace(once, handshake_errors={"b": 1, "c": 3}))
    assert twice.handshake_errors == {"a": 1, "b": 3, "c": 3}
    assert twice.lookup_buckets == [2 * each for each in once.lookup_buckets]
    others = set(numbers) - {"handshake_errors", "lookup_buckets"}
    assert {getattr(twice, name) for name in others} == {4}


def test_a_copy_stays_as_it_is():
    live = WorkerCounters()
    copy = copied(live)
    live.note_error("bad_version")
    live.note_lookup(0.1)
    assert copy == NOTHING != live


def test_kinds_of_errors_are_bounded():
    live = WorkerCounters()
    for number in range(2 * MOST_KINDS):
        live.note_error(f"kind{number}")
    live.note_error("kind1")
    assert len(live.handshake_errors) == MOST_KINDS + 1
    assert (live.handshake_errors["other"], live.handshake_errors["kind1"]) == (MOST_KINDS, 2)


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (5.0, 11), (60.0, 12)])
def test_lookups_go_into_buckets(seconds, bucket):
    live = WorkerCounters()
    live.note_lookup(seconds)
    assert live.lookup_buckets[bucket] == 1
    assert (sum(live.lookup_buckets), live.lookup_seconds) == (1, seconds)


def test_memory_and_descriptors_are_those_of_this_process():
    room = mmap.mmap(-1, 16 << 20)
    before_it = counters.memory()
    room.write(bytes(16 << 20))
    assert counters.memory() - before_it > 8 << 20
    room.close()
    before = counters.descriptors(0)
    fd = os.open("/dev/null", os.O_RDONLY)
    assert counters.descriptors(0) == before + 1
    os.close(fd)


def test_passwords_are_counted_by_who_judged_them(plane, echo_port):
    for _ in range(3):
        plane.tunnel(echo_port).close()
    for _ in range(2):
        with plane.connect() as client, pytest.raises(AssertionError):
            login(client, password="wrong")
    told = counted(plane)
    assert (told.accepted_asked, told.accepted_remembered) == (1, 2)
    assert (told.refused_asked, told.refused_remembered) == (1, 1)
    assert told.handshake_errors == {"authentication_failed": 2}


def test_who_is_too_much_for_the_daemon_is_counted(plane, monkeypatch):
    monkeypatch.setattr("vpn.proxy.credentials.MOST_WAITING", 0)
    with plane.connect() as client, pytest.raises(AssertionError):
        login(client)
    assert counted(plane).refused_unasked == 1


def test_errors_of_handshakes_are_counted_once(plane):
    for data in (b"\x01", b"\x05\x01\x00", b"GET nowhere\r\n\r\n"):
        with plane.connect() as client:
            client.sendall(data)
            read_all(client)
    with plane.connect() as client:
        client.sendall(b"\x05")
        plane.until(lambda: plane.core.connections)
    plane.ended(4)
    told = counted(plane).handshake_errors
    assert sum(told.values()) == 4
    assert told["unknown_protocol"] == told["no_acceptable_method"] == told["client_closed"] == 1


def test_a_destination_that_cannot_be_reached_is_no_error_of_the_handshake(plane):
    with plane.connect() as client:
        login(client)
        client.sendall(b"\x05\x01\x00\x01\x7f\0\0\1\0\1")
        read_all(client)
    assert counted(plane).handshake_errors == {}


def ask(plane, host):
    with plane.connect() as client:
        login(client)
        client.sendall(b"\x05\x01\x00\x03" + bytes([len(host)]) + host + b"\0\1")
        read_all(client)


def test_decisions_are_counted_by_what_decided(plane, echo_port):
    plane.tunnel(echo_port).close()
    assert counted(plane).allowed_by_default == 1
    rules = [
        {"action": "allow", "destinations": ["127.0.0.1", "localhost"]},
        {"action": "block", "destinations": ["blocked.test"]},
    ]
    document = {"global": {"default_policy": "block"}, "groups": [{"name": "everyone", "rules": rules}]}
    policy = CompiledPolicy(parse_policy(document))
    plane.do(lambda: plane.core.set_policy(policy) or True)
    plane.tunnel(echo_port).close()
    ask(plane, b"blocked.test")
    ask(plane, b"192.0.2.1")
    told = counted(plane)
    assert (told.allowed_by_rule, told.blocked_by_rule, told.blocked_by_default) == (1, 1, 1)
    plane.do(lambda: plane.core.apply(snapshot(2, private_destinations=False)) or True)
    ask(plane, b"127.0.0.1")
    assert counted(plane).blocked_by_guard == 1


def test_limits_are_counted_apart(plane):
    users = [control.SnapshotUser("alice", 1, limits=control.SnapshotLimits(inbounds=("other",)))]
    made = msgspec.structs.replace(snapshot(2), users=users)
    plane.do(lambda: plane.core.apply(made) or True)
    ask(plane, b"127.0.0.1")
    assert counted(plane).refused_by_limits == 1


def test_bans_are_counted(plane):
    plane.do(lambda: plane.core.bans.replace(control.Bans(users={"alice": []})) or True)
    with plane.connect() as client, pytest.raises(AssertionError):
        login(client)
    plane.do(lambda: plane.core.bans.replace(control.Bans(sources=["127.0.0.1"])) or True)
    with plane.connect() as client:
        client.sendall(b"\x05")
        plane.ended(2)
    told = counted(plane)
    assert (told.users_banned, told.sources_banned) == (1, 1)


def test_clients_beyond_the_places_are_counted(plane, echo_port):
    plane.amend(max_connections=1)
    with plane.tunnel(echo_port), plane.connect() as client:
        client.sendall(b"\x05")
        plane.ended()
    assert counted(plane).over_capacity == 1


def test_pauses_without_descriptors_are_counted(plane):
    plane.do(lambda: plane.listeners[0]._pause(OSError(errno.EMFILE, "none left")) or True)
    assert counted(plane).accept_pauses == 1


def test_lookups_are_counted_by_their_outcome():
    with running_plane() as plane, name_server() as server:
        server.records["known.test"] = ["127.0.0.1"]
        resolving = {"servers": (f"127.0.0.1:{server.port}",), "hosts": {"given.test": ("127.0.0.1",)}}
        plane.do(lambda: plane.core.apply(snapshot(2, resolving=Resolving(**resolving))) or True)
        for name in (b"known.test", b"known.test", b"unknown.test", b"given.test"):
            ask(plane, name)
        told = counted(plane)
    assert (told.lookups, told.lookups_known, told.lookups_failed, told.lookups_timed_out) == (2, 2, 1, 0)
    assert sum(told.lookup_buckets) == 2
    assert told.lookup_seconds > 0


def test_waiting_for_a_rate_is_counted(plane, echo_port):
    plane.limit(down=200_000)
    with plane.tunnel(echo_port) as client:
        client.sendall(bytes(60_000))
        read_exactly(client, 60_000)
    told = counted(plane)
    assert told.shaping_waits > 0
    assert 0 < told.shaping_seconds < 10


def test_sessions_that_a_quota_ends_are_counted(plane, echo_port):
    with plane.tunnel(echo_port), plane.tunnel(echo_port) as client:
        plane.end_quota()
        client.sendall(b"x")
        assert {each.reason for each in plane.ended(2)} == {"over_quota"}
    assert counted(plane).quota_cuts == 2


def test_handshakes_in_tls_are_counted(files, issuer):
    with running_plane(tls=TLS(certificate=str(files.certificate), key=str(files.key))) as plane:
        context = ssl.create_default_context(cafile=issuer.file)
        context.wrap_socket(plane.connect(), server_hostname="localhost").close()
        with plane.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            read_all(client)
        plane.ended(2)
        told = counted(plane)
    assert (told.tls_accepted, told.tls_failed) == (1, 1)
    assert told.handshake_errors["tls_handshake_failed"] == 1


def test_a_peer_that_comes_for_a_bind_is_allowed_once(plane):
    with plane.connect() as client, come(listening(client)):
        read_exactly(client, 10)
    assert counted(plane).allowed_by_default == 1
