"""Live sessions of a real daemon with two workers: shown, told, and closed by id, user and destination."""

import contextlib
import json
import socket
import threading

import pytest

from tests.support.api import API
from tests.support.clients import CONNECT, connect, read_reply, socks5
from tests.support.daemon import running_daemon
from tests.support.metered import Site
from tests.support.plane import login, read_exactly
from tests.support.servers import echo, tcp_server
from tests.support.waiting import until

UP, DOWN = 300_000, 700_000


def answer_more(connection):
    """Take what comes, and send back more."""
    read_exactly(connection, UP)
    connection.sendall(bytes(DOWN))
    connection.recv(1)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    directory = tmp_path_factory.mktemp("live")
    config = directory / "config.yaml"
    hosts = "{far.test: [127.0.0.1], near.test: [127.0.0.1]}"
    config.write_text(f"metrics: {{history_interval: 1}}\nproxy: {{workers: 2, dns: {{hosts: {hosts}}}}}")
    with running_daemon(directory / "data", VPN_CONFIG=str(config)) as daemon:
        site = Site(daemon)
        for name in ("alice", "bob"):
            site.add(name)
        yield site


@pytest.fixture
def api(site):
    return API(site.daemon.api, site.daemon.data_dir)


@pytest.fixture(scope="module")
def echo_port():
    with tcp_server(echo) as port:
        yield port


def tunnel(site, user, host, port):
    client = connect(site.daemon.port)
    login(client, user)
    client.sendall(socks5(CONNECT, host, port))
    assert read_reply(client)[0] == 0
    return client


def is_closed(client):
    client.settimeout(10)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def still_works(client):
    client.sendall(b"ping")
    return read_exactly(client, 4) == b"ping"


def is_quiet(api):
    """Whether the workers have told that nobody is connected any more."""
    return api.get("/api/overview")["counters"]["active_sessions"] == 0


def users(sessions):
    return sorted(each["user"] for each in sessions)


def test_counts_are_those_of_the_client_over_both_workers(site, api):
    with tcp_server(answer_more) as port, site.tunnels("alice", port, each=1) as clients:

        def move(client):
            client.sendall(bytes(UP))
            read_exactly(client, DOWN)

        threads = [threading.Thread(target=move, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # A report is half a second old at most; asserting how long it took would test this machine.
        wanted = [(UP, DOWN)] * len(clients)
        until(
            lambda: (
                [(each["bytes_sent"], each["bytes_received"]) for each in api.get("/api/sessions/active")] == wanted
            ),
            seconds=5,
        )
        (first, *_) = api.get("/api/sessions/active?limit=1&sort_by=source_port&sort_dir=asc")
        assert first["source_port"] == min(client.getsockname()[1] for client in clients)
        assert first["status"] == "active"
        assert first["end_time"] is None
        assert (first["dest_ip"], first["dest_port"], first["protocol"]) == ("127.0.0.1", port, "socks5")
        assert api.get("/api/overview")["counters"]["active_sessions"] == len(clients)
    until(lambda: is_quiet(api))


def test_filters_and_order(site, api, echo_port):
    with contextlib.ExitStack() as stack:
        for user, host in (("alice", "far.test"), ("bob", "near.test"), ("bob", "127.0.0.1")):
            stack.enter_context(tunnel(site, user, host, echo_port))
        until(lambda: len(api.get("/api/sessions/active")) == 3)
        assert users(api.get("/api/sessions/active?user=ALICE")) == ["alice"]
        assert users(api.get("/api/sessions/active?destination=*.test")) == ["alice", "bob"]
        assert users(api.get("/api/sessions/active?dest_ip=127.0.0.0/8")) == ["alice", "bob", "bob"]
        assert users(api.get("/api/sessions/active?text=NEAR")) == ["bob"]
        assert api.get("/api/sessions/active?inbound=other") == api.get("/api/sessions/active?min_bytes=1") == []
        names = [each["destination"] for each in api.get("/api/sessions/active?sort_by=destination&sort_dir=asc")]
        assert names == ["127.0.0.1", "far.test", "near.test"]
        assert api.call("GET", "/api/sessions/active?destination=a//b")[0] == 422
        assert api.call("GET", "/api/sessions/active?sort_by=colour")[0] == 422
    until(lambda: is_quiet(api))


def test_one_is_closed_and_no_other(site, api, echo_port):
    with tunnel(site, "alice", "127.0.0.1", echo_port) as one, tunnel(site, "alice", "127.0.0.1", echo_port) as other:
        until(lambda: len(api.get("/api/sessions/active")) == 2)
        port = one.getsockname()[1]
        (id,) = [each["id"] for each in api.get("/api/sessions/active") if each["source_port"] == port]
        assert api.call("POST", f"/api/sessions/{id}/terminate") == (200, {"terminated": 1})
        assert [each["id"] for each in api.get("/api/sessions/active")] != []
        assert id not in [each["id"] for each in api.get("/api/sessions/active")]
        assert is_closed(one)
        assert still_works(other)
        assert api.call("POST", f"/api/sessions/{id}/terminate")[0] == 404
    assert api.call("POST", "/api/sessions/nonsense/terminate")[0] == 422
    until(lambda: is_quiet(api))
    site.daemon.wait_for(r'"by": ?"127.0.0.1".*"sessions terminated"', "err")


def test_all_of_a_user_or_to_a_destination_are_closed_and_no_others(site, api, echo_port):
    with contextlib.ExitStack() as stack:
        alices = stack.enter_context(site.tunnels("alice", echo_port))
        far = stack.enter_context(tunnel(site, "bob", "far.test", echo_port))
        near = stack.enter_context(tunnel(site, "bob", "near.test", echo_port))
        everybody = len(alices) + 2
        until(lambda: len(api.get("/api/sessions/active")) == everybody)
        answer = api.call("POST", "/api/sessions/terminate", {"user": "Alice"})
        assert answer == (200, {"terminated": len(alices)})
        assert users(api.get("/api/sessions/active")) == ["bob", "bob"]
        assert all(map(is_closed, alices))
        assert api.call("POST", "/api/sessions/terminate", {"destination": "far.test"})[1] == {"terminated": 1}
        assert is_closed(far)
        assert still_works(near)
        assert api.call("POST", "/api/sessions/terminate", {"user": "alice"})[1] == {"terminated": 0}
        assert api.call("POST", "/api/sessions/terminate", {"user": "bob", "destination": "*.com"})[1] == {
            "terminated": 0
        }
        assert api.call("POST", "/api/sessions/terminate", {})[1]["code"] == "nobody_meant"
    until(lambda: is_quiet(api))


def test_events_tell_of_sessions_and_counters(site, api, echo_port):
    topics = "/api/events?topics=sessions,counters"
    with api.following(topics) as events, api.following(f"{topics}&user=bob") as of_bob:

        def told(kind, events=events):
            return [each for event in events if event["topic"] == "sessions" for each in event.get(kind, ())]

        until(lambda: events and of_bob)
        assert events[0] == {"event": "", "topic": "sessions", "live": [], "not_told": {"live": 0}}
        with tunnel(site, "alice", "127.0.0.1", echo_port) as client:
            until(lambda: users(told("began")) == ["alice"])
            client.sendall(b"x" * 5000)
            read_exactly(client, 5000)
            client.sendall(b"y")
            read_exactly(client, 1)
            until(lambda: [each["bytes_received"] for each in told("began") + told("updated")][-1:] == [5001])
        until(lambda: [(each["status"], each["bytes_sent"]) for each in told("ended")] == [("closed", 5001)])
        until(lambda: [each for each in events if each["topic"] == "counters" and each["bytes_sent"] >= 5000])
        assert told("began", of_bob) == told("ended", of_bob) == []
        with tunnel(site, "bob", "127.0.0.1", echo_port):
            until(lambda: users(told("began", of_bob)) == ["bob"])


def test_events_tell_of_what_is_noteworthy(site, api, echo_port):
    with api.following("/api/events?topics=telemetry") as events, tunnel(site, "bob", "127.0.0.1", echo_port):
        until(lambda: api.get("/api/sessions/active"))
        api.call("POST", "/api/sessions/terminate", {"user": "bob"})
        until(lambda: events)
        assert (events[0]["topic"], events[0]["category"]) == ("telemetry", "audit")
        assert (events[0]["message"], events[0]["details"]["user"]) == ("sessions terminated", "bob")
    until(lambda: is_quiet(api))


def test_the_history_has_what_there_was(site, api):
    until(lambda: len(api.get("/api/metrics/history?minutes=5")) >= 2)
    points = api.get("/api/metrics/history?minutes=5")
    assert points[-1]["total_sessions"] >= points[0]["total_sessions"]
    assert points[-1]["bandwidth"] == points[-1]["bytes_sent"] + points[-1]["bytes_received"] > 0
    assert points[-1]["memory"] > 50_000_000
    assert [each["timestamp"] for each in points] == sorted(each["timestamp"] for each in points)
    assert len(api.get("/api/metrics/history?points=1")) == 1


def test_the_stream_wants_a_known_topic(api):
    status, answer = api.call("GET", "/api/events?topics=weather")
    assert (status, answer["code"]) == (422, "bad_topic")


def test_the_command_kills(site, api, echo_port):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(tunnel(site, "alice", "127.0.0.1", echo_port)) for _ in range(3)]
        until(lambda: len(api.get("/api/sessions/active")) == 3)
        first = api.get("/api/sessions/active?sort_dir=asc")[0]["id"]
        assert site.daemon.vpn("sessions", "kill", first).out == "Sessions closed: 1.\n"
        again = site.daemon.vpn("sessions", "kill", first)
        assert (again.code, first in again.err) == (4, True)
        refused = site.daemon.vpn("sessions", "kill", "--user", "alice")
        assert refused.code == 2
        assert "closes 2 sessions" in refused.err
        done = site.daemon.vpn("sessions", "kill", "--destination", "127.0.0.0/8", "--yes", "--format", "json")
        assert json.loads(done.out) == {"terminated": 2}
        assert all(map(is_closed, clients))
    assert site.daemon.vpn("sessions", "kill").code == 2
    assert site.daemon.vpn("sessions", "kill", first, "--user", "bob").code == 2


def test_the_command_lists_who_is_connected_now(site, api, echo_port):
    with tunnel(site, "alice", "far.test", echo_port) as client, tunnel(site, "bob", "near.test", echo_port):
        client.sendall(b"x" * 5000)
        read_exactly(client, 5000)
        until(lambda: sum(each["bytes_received"] for each in api.get("/api/sessions/active")) == 5000)

        def listed(*arguments):
            return site.daemon.vpn("sessions", "list", "--live", *arguments)

        rows = json.loads(listed("--format", "json").out)
        assert [(each["user"], each["bytes_received"]) for each in rows] == [("bob", 0), ("alice", 5000)]
        assert users(json.loads(listed("--destination", "*.test", "--limit", "1", "--format", "json").out)) == ["bob"]
        shown = listed("--search", "FAR").out
        assert "alice" in shown
        assert "far.test" in shown
        assert "bob" not in shown
        assert listed("--status", "closed").code == listed("--since", "1h").code == 2
    until(lambda: is_quiet(api))
    assert listed().out == "No sessions.\n"


def test_what_cannot_be_reached_is_said_so(api):
    with tcp_server(echo) as port:
        status, answer = api.call(
            "POST", "/api/diagnostics/connectivity", {"address": "far.test", "port": port, "timeout_ms": 5000}
        )
    assert (status, answer["success"], answer["error"]) == (200, True, None)
    assert answer["latency_ms"] >= 0
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refused = {"address": "127.0.0.1", "port": unused.getsockname()[1]}
        assert api.call("POST", "/api/diagnostics/connectivity", refused)[1]["error"] == "connection_refused"
