"""Which way connections go out."""

import threading
from collections import Counter

import pytest

from tests.support.plane import login, lone_accounts, lone_recorder, read_all, read_exactly, running_plane, snapshot
from tests.support.servers import hold, tcp_server, unused_port
from tests.support.upstreams import go_through, route, upstream
from vpn.domain.acl import CompiledPolicy
from vpn.domain.egress import DIRECT, Choice, Route
from vpn.domain.policy_document import parse_policy
from vpn.proxy.control import Snapshot, SnapshotUser
from vpn.proxy.core import Core
from vpn.proxy.poller import Poller


@pytest.fixture
def core():
    poller = Poller(pytest.fail)
    core = Core(poller, lambda message: None, lone_accounts(), lone_recorder()[1])
    yield core
    core.resolver.close()


@pytest.fixture
def parent():
    with running_plane() as running:
        yield running


def outgoing(core, *routes, names="abc"):
    core.apply(snapshot(2, upstreams=tuple(upstream(name, 1) for name in names), routes=routes))
    return core.outgoing


@pytest.mark.parametrize(
    ("host", "port", "user", "way"),
    [
        ("www.a.test", 443, "alice", "a"),
        ("WWW.A.TEST", 443, "alice", "a"),
        ("www.a.test", 80, "alice", "c"),
        ("10.1.2.3", 1, "alice", "b"),
        ("::ffff:10.1.2.3", 1, "alice", "b"),
        ("10.1.2.3", 1, "BOB", "c"),
        ("x.test", 1, "bob", "c"),
        ("x.test", 1, "carol", DIRECT),
    ],
)
def test_the_first_route_that_matches_is_taken(core, host, port, user, way):
    chosen = outgoing(
        core,
        route("a", destinations=(".a.test:443",)),
        route("b", destinations=("10.0.0.0/8",), users=("Alice",)),
        route("c", users=("alice", "Bob")),
    )
    assert chosen.candidates(host, port, user) == [way]


def test_routes_are_for_users_and_for_members_of_groups(core):
    theirs = route("a", users=("carol",), groups=("Staff", "ops"))
    egress = snapshot(upstreams=(upstream("a", 1),), routes=(theirs,)).egress
    people = [
        SnapshotUser("alice", 1, groups=("guests", "staff")),
        SnapshotUser("bob", 1, groups=("guests",)),
        SnapshotUser("carol", 1),
        SnapshotUser("dave", 1),
    ]
    core.apply(Snapshot(2, people, egress))
    core.set_policy(CompiledPolicy(parse_policy({"default": "allow", "users": {"dave": {"groups": ["ops"]}}})))
    ways = {user.name: core.outgoing.candidates("x.test", 1, user.name) for user in people}
    assert ways == {"alice": ["a"], "bob": [DIRECT], "carol": ["a"], "dave": ["a"]}


def test_weights_share_out_and_those_of_weight_0_stand_by(core):
    chosen = outgoing(core, Route(upstreams=(Choice("a", 3), Choice("b", 1), Choice("c", 0))))
    chosen._random.seed(1)
    orders = [chosen.candidates("x.test", 1, "") for _ in range(4000)]
    first = Counter(order[0] for order in orders)
    assert 2800 < first["a"] < 3200
    assert first["a"] + first["b"] == 4000
    assert all(order[2] == "c" for order in orders)


def test_those_that_failed_come_last(core):
    chosen = outgoing(core, Route(upstreams=(Choice("a", 1000), Choice("b", 1), Choice("c", 0))))
    chosen.way("a").note(reached=False)
    assert {tuple(chosen.candidates("x.test", 1, "")) for _ in range(100)} == {("b", "c", "a")}
    chosen.way("a").note(reached=True)
    assert "a" in {chosen.candidates("x.test", 1, "")[0] for _ in range(100)}


def test_what_no_upstream_can_do_goes_out_directly_only_where_that_is_a_choice(core):
    chosen = outgoing(core, route("a", destinations=("10.0.0.0/8",)), route("b", DIRECT, destinations=("11.0.0.0/8",)))
    assert chosen.direct_refused("10.0.0.1", 1, "") == "not_through_upstream"
    assert chosen.direct_refused("::ffff:10.0.0.1", 1, "") == "not_through_upstream"
    assert chosen.direct_refused("11.0.0.1", 1, "") == ""
    assert chosen.direct_refused("12.0.0.1", 1, "") == ""


def test_the_same_settings_keep_what_is_known(core):
    chosen = outgoing(core, route("a"))
    way = chosen.way("a")
    outgoing(core, route("a"))
    assert chosen.way("a") is way
    outgoing(core, route("b"))
    assert chosen.way("a") is way, "other routes do not change the upstreams"
    outgoing(core, route("a"), names="a")
    assert chosen.way("a") is not way


def test_another_one_is_tried_when_one_fails_and_it_is_told_once(plane, parent, echo_port):
    dead = unused_port()
    go_through(
        plane,
        upstream("a", dead),
        upstream("b", parent.port),
        routes=(Route(upstreams=(Choice("a", 1), Choice("b", 0))),),
    )
    for _ in range(3):
        with plane.tunnel(echo_port) as client:
            client.sendall(b"x")
            assert read_exactly(client, 1) == b"x"
    assert [each.upstream for each in plane.ended(3)] == ["b"] * 3
    assert [(log.level, log.event) for log in plane.logs] == [("warning", "upstream failed")]
    assert plane.do(lambda: plane.core.outgoing.way("a").failed) == 1, "it is the last that is tried"


def test_a_failed_upstream_is_looked_after_and_used_again(plane, parent, echo_port):
    go_through(plane, upstream("a", parent.port), probe_interval=0.05)
    plane.do(lambda: plane.core.outgoing.way("a").note(reached=False) or True)
    plane.until(lambda: plane.core.outgoing.way("a").healthy)
    assert [log.event for log in plane.logs] == ["upstream failed", "upstream is back"]
    plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners))


def test_direct_may_stand_by(plane, echo_port):
    go_through(plane, upstream("a", unused_port()), routes=(Route(upstreams=(Choice("a"), Choice(DIRECT, 0))),))
    with plane.tunnel(echo_port):
        pass
    assert plane.ended()[0].upstream == ""


def test_an_upstream_that_is_removed_meanwhile_does_not_make_it_direct(plane, echo_port):
    """What was to be tried next is no more; the destination must not see us."""
    asked, go = threading.Event(), threading.Event()

    def serve(connection):
        connection.recv(100)
        asked.set()
        go.wait(10)

    with tcp_server(serve) as port, plane.connect() as client:
        both = Route(upstreams=(Choice("a", 1), Choice("b", 0)))
        go_through(plane, upstream("a", port), upstream("b", unused_port()), routes=(both,))
        login(client)
        client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + echo_port.to_bytes(2, "big"))
        assert asked.wait(5)
        go_through(plane, upstream("c", port))
        go.set()
        assert read_all(client)[1] == 1
    assert plane.ended()[0].reason == "upstream_removed"


def test_a_client_that_goes_meanwhile_leaves_nothing_behind(plane):
    with tcp_server(hold) as port:
        go_through(plane, upstream("a", port))
        with plane.connect() as client:
            login(client)
            client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50")
            plane.until(lambda: any(each.session.host for each in plane.core.connections))
            plane.do(lambda: plane.core.apply(snapshot(3, users={})) or True)
            assert read_all(client) == b""
        plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners))
