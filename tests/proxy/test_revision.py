"""Other rules, and the sessions that are live when they come; by real clients."""

import socket
import time

import pytest

from tests.support import web
from tests.support.clients import ASSOCIATE, BIND, CONNECT, ask, connect, read_reply, socks5, socks_address
from tests.support.dns import name_server
from tests.support.plane import login, read_exactly, running_plane, snapshot
from tests.support.servers import echo, tcp_server, udp_echo
from tests.support.upstreams import go_through, route, upstream
from vpn.domain.acl import CompiledPolicy
from vpn.domain.egress import DIRECT, Resolving
from vpn.domain.policy_document import parse_policy
from vpn.proxy.control import SnapshotUser


def rules(plane, *rules, default="allow", user="alice"):
    policy = CompiledPolicy(parse_policy({"default": default, "users": {user: {"rules": list(rules)}}}))
    plane.do(lambda: plane.core.set_policy(policy) or True)


def test_what_is_forbidden_now_is_closed_and_the_rest_goes_on():
    with (
        running_plane() as plane,
        tcp_server(echo) as bad,
        tcp_server(echo) as good,
        plane.tunnel(bad),
        plane.tunnel(good) as goes_on,
        plane.tunnel(bad, "bob") as bobs,
    ):
        rules(plane, {"action": "block", "destinations": ["127.0.0.0/8"], "ports": [bad]})
        session = plane.ended()[0]
        assert (session.port, session.reason, session.rule) == (bad, "policy_changed", "users.alice.rules.0")
        for client in (goes_on, bobs):
            client.sendall(b"still here")
            assert read_exactly(client, 10) == b"still here"


def test_many_sessions_are_all_looked_at():
    with running_plane() as plane, tcp_server(echo) as port:
        clients = [plane.tunnel(port) for _ in range(450)]
        rules(plane, {"action": "block", "destinations": ["*"]})
        assert {session.reason for session in plane.ended(450)} == {"policy_changed"}
        for client in clients:
            client.close()


def test_a_name_that_was_connected_to_is_judged_by_its_address():
    with running_plane() as plane, tcp_server(echo) as port, plane.tunnel(port, host="localhost"):
        rules(plane, {"action": "block", "destinations": ["127.0.0.0/8", "::1"]})
        assert plane.ended()[0].reason == "policy_changed"


def test_another_group_means_other_rules():
    policy = CompiledPolicy(
        parse_policy(
            {"default": "allow", "groups": {"guests": {"rules": [{"action": "block", "destinations": ["*"]}]}}}
        )
    )
    with running_plane() as plane, tcp_server(echo) as port:
        plane.do(lambda: plane.core.set_policy(policy) or True)
        with plane.tunnel(port):
            made = snapshot(2)
            guest = SnapshotUser("alice", 1, groups=("guests",))
            plane.do(lambda: plane.core.apply(type(made)(2, [guest], made.egress)) or True)
            assert plane.ended()[0].rule == "groups.guests.rules.0"


def test_when_the_hour_has_come_sessions_are_closed(monkeypatch):
    now = time.time()
    monkeypatch.setattr("vpn.proxy.core.CLOCK", 0.05)
    with running_plane() as plane, tcp_server(echo) as port:
        soon = time.gmtime(now - 3600)
        hours = f"{soon.tm_hour:02}:00-{soon.tm_hour:02}:01"  # long past
        rules(plane, {"action": "block", "destinations": ["*"], "hours": [hours]})
        with plane.tunnel(port):
            clock = time.time
            today = now - now % 86400
            monkeypatch.setattr(time, "time", lambda: today + soon.tm_hour * 3600 + 1 + clock() % 1)
            assert plane.ended()[0].reason == "policy_changed"


def test_datagrams_of_a_live_association_are_judged_anew():
    with running_plane(open_to=("127.0.0.0/8",)) as plane, udp_echo() as port, connect(plane.port) as control:
        code, relay = ask(control, ASSOCIATE, "0.0.0.0", 0)
        assert code == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            datagram = b"\0\0\0" + socks_address("127.0.0.1", port)
            client.sendto(datagram + b"1", relay)
            assert client.recv(100).endswith(b"1")
            rules(plane, {"action": "block", "destinations": ["127.0.0.1"], "protocols": "udp"}, user="anonymous")
            client.sendto(datagram + b"2", relay)
            plane.until(lambda: any("blocked_by_rule" in str(log.fields) for log in plane.logs))
            rules(plane, user="anonymous")
            client.sendto(datagram + b"3", relay)
            assert client.recv(100).endswith(b"3")


def test_a_rule_refuses_and_the_session_names_it():
    with running_plane() as plane, tcp_server(echo) as port:
        rules(plane, {"action": "block", "destinations": ["localhost"], "description": "no"})
        with plane.connect() as client:
            login(client)
            client.sendall(socks5(CONNECT, "LOCALHOST.", port))
            assert read_reply(client)[0] == 2
        session = plane.ended()[0]
        assert (session.status, session.reason, session.rule) == (
            "rejected_by_acl",
            "blocked_by_rule",
            "users.alice.rules.0",
        )


ELSEWHERE = {"action": "block", "destinations": ["192.0.2.0/24"]}
HERE = {"action": "block", "destinations": ["127.0.0.0/8"]}


@pytest.mark.parametrize("before", [[], [ELSEWHERE]], ids=["names alone", "addresses"])
def test_no_session_slips_in_while_its_name_is_being_resolved(before):
    with running_plane() as plane, name_server() as dns, tcp_server(echo) as port, plane.connect() as client:
        dns.records["slow.test"] = ["127.0.0.1"]
        dns.may_answer.clear()
        made = snapshot(2, resolving=Resolving(servers=(f"127.0.0.1:{dns.port}",)))
        plane.do(lambda: plane.core.apply(made) or True)
        rules(plane, *before)
        login(client)
        client.sendall(socks5(CONNECT, "slow.test", port))
        plane.until(lambda: bool(dns.asked))
        rules(plane, HERE)
        dns.may_answer.set()
        assert read_reply(client)[0] == 2
        session = plane.ended()[0]
        assert (session.status, session.rule) == ("rejected_by_acl", "users.alice.rules.0")


@pytest.mark.parametrize("expected", ["0.0.0.0", "127.0.0.1"])
def test_no_peer_slips_in_that_came_for_a_bind_of_before(expected):
    with running_plane() as plane, plane.connect() as client:
        login(client)
        client.sendall(socks5(BIND, expected, 0))
        code, address = read_reply(client)
        assert code == 0
        if expected == "127.0.0.1":
            rules(plane, HERE)
            assert plane.ended()[0].reason == "policy_changed"
            return
        rules(plane, HERE)
        with connect(address[1]):
            assert read_reply(client)[0] == 2
        assert plane.ended()[0].rule == "users.alice.rules.0"


def test_who_waits_for_anybody_is_not_closed_by_rules_on_somebody():
    with running_plane() as plane, plane.connect() as client:
        login(client)
        client.sendall(socks5(BIND, "0.0.0.0", 0))
        address = read_reply(client)[1]
        rules(plane, {"action": "allow", "destinations": ["127.0.0.1"]}, default="block")
        with connect(address[1]) as peer:
            assert read_reply(client)[0] == 0
            peer.sendall(b"welcome")
            assert read_exactly(client, 7) == b"welcome"


def test_a_name_that_was_resolved_for_an_upstream_is_judged_by_its_address():
    with running_plane() as plane, running_plane() as parent, tcp_server(echo) as port:
        resolving = Resolving(hosts={"a.test": ("127.0.0.1",)})
        go_through(plane, upstream("a", parent.port, resolve="here"), resolving=resolving)
        with plane.tunnel(port, host="a.test"):
            rules(plane, HERE)
            assert plane.ended()[0].reason == "policy_changed"


def test_answers_of_who_is_forbidden_now_do_not_arrive_and_the_others_do():
    """The client says nothing meanwhile: its own datagrams are not what makes the difference."""
    with (
        running_plane(open_to=("127.0.0.0/8",)) as plane,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as good,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bad,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        connect(plane.port) as control,
    ):
        relay, seen = ask(control, ASSOCIATE, "0.0.0.0", 0)[1], {}
        client.settimeout(5)
        for server in (good, bad):
            server.settimeout(5)
            server.bind(("127.0.0.1", 0))
            client.sendto(b"\0\0\0" + socks_address(*server.getsockname()) + b"hello", relay)
            seen[server] = server.recvfrom(100)[1]
        forbidden = {"action": "block", "destinations": ["127.0.0.1"], "ports": [bad.getsockname()[1]]}
        for version in range(2):
            rules(plane, forbidden, user="anonymous")
            bad.sendto(b"no", seen[bad])
            plane.until(lambda: any("blocked_by_rule" in str(log.fields) for log in plane.logs))
            good.sendto(b"yes %d" % version, seen[good])
            assert client.recv(100).endswith(b"yes %d" % version)


def test_rules_on_sources_mean_the_clients_address():
    """When it asks, when the rules change under it, and for its datagrams."""
    block = {"action": "block", "destinations": ["127.0.0.1"], "sources": ["127.0.0.2"]}
    inbound = {"open_to": ("127.0.0.0/8",)}
    with running_plane(**inbound) as plane, tcp_server(echo) as port, connect(plane.port, "127.0.0.2") as early:
        assert ask(early, CONNECT, "127.0.0.1", port)[0] == 0
        rules(plane, block, user="anonymous")
        assert plane.ended()[0].reason == "policy_changed"
        with connect(plane.port, "127.0.0.2") as late, connect(plane.port, "127.0.0.3") as other:
            assert ask(late, CONNECT, "127.0.0.1", port)[0] == 2
            assert ask(other, CONNECT, "127.0.0.1", port)[0] == 0
            rules(plane, block, user="anonymous")
            other.sendall(b"still here")
            assert read_exactly(other, 10) == b"still here"


@pytest.mark.parametrize("source", ["127.0.0.2", "127.0.0.3"])
def test_rules_on_sources_count_for_datagrams(source):
    with (
        running_plane(open_to=("127.0.0.0/8",)) as plane,
        udp_echo() as port,
        connect(plane.port, source) as control,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        rules(plane, {"action": "block", "destinations": ["*"], "sources": ["127.0.0.2"]}, user="anonymous")
        code, relay = ask(control, ASSOCIATE, "0.0.0.0", 0)
        assert code == 0
        client.settimeout(5)
        client.bind((source, 0))
        client.sendto(b"\0\0\0" + socks_address("127.0.0.1", port) + b"hello", relay)
        if source == "127.0.0.2":
            plane.until(lambda: any("blocked_by_rule" in str(log.fields) for log in plane.logs))
        else:
            assert client.recv(100).endswith(b"hello")


def test_where_rules_look_at_addresses_a_name_is_resolved_here_though_an_upstream_would_do_it():
    with running_plane() as plane, running_plane() as parent, tcp_server(echo) as port, plane.connect() as client:
        resolving = Resolving(hosts={"a.test": ("127.0.0.1",)})
        go_through(plane, upstream("a", parent.port, resolve="there"), resolving=resolving)
        rules(plane, HERE)
        login(client)
        client.sendall(socks5(CONNECT, "a.test", port))
        assert read_reply(client)[0] == 2
        assert plane.ended()[0].rule == "users.alice.rules.0"


def test_a_kept_connection_is_no_way_round_rules_on_addresses():
    """The name means another address by the time of the second request."""
    with running_plane() as plane, web.origin() as server, plane.connect() as client:
        for version, address in enumerate(["127.0.0.1", "127.0.0.2"], 2):
            made = snapshot(version, resolving=Resolving(hosts={"a.test": (address,)}))
            plane.do(lambda made=made: plane.core.apply(made) or True)
            rules(plane, {"action": "block", "destinations": ["127.0.0.2"]})
            client.sendall(web.request(server.port).replace(b"127.0.0.1", b"a.test"))
            status = b"HTTP/1.1 200 " if version == 2 else b"HTTP/1.1 403 "
            assert web.read_message(client)[0].startswith(status)


def test_a_name_that_is_blocked_is_not_even_asked_for():
    with (
        running_plane(open_to=("127.0.0.0/8",)) as plane,
        name_server() as dns,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        connect(plane.port) as control,
    ):
        made = snapshot(2, resolving=Resolving(servers=(f"127.0.0.1:{dns.port}",)))
        plane.do(lambda: plane.core.apply(made) or True)
        rules(plane, {"action": "block", "destinations": [".blocked.test"]}, user="anonymous")
        relay = ask(control, ASSOCIATE, "0.0.0.0", 0)[1]
        client.sendto(b"\0\0\0" + socks_address("secret.blocked.test", 53) + b"hello", relay)
        plane.until(lambda: any("blocked_by_rule" in str(log.fields) for log in plane.logs))
    assert dns.asked == []


def test_rules_on_addresses_hold_where_a_route_leads_out_directly():
    with running_plane() as plane, tcp_server(echo) as port, plane.connect() as client:
        resolving = Resolving(hosts={"a.test": ("127.0.0.1",)})
        go_through(plane, upstream("a", 1), routes=(route(DIRECT),), resolving=resolving)
        rules(plane, HERE)
        login(client)
        client.sendall(socks5(CONNECT, "a.test", port))
        assert read_reply(client)[0] == 2
        assert plane.ended()[0].rule == "users.alice.rules.0"
