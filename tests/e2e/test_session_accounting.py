"""Every connection is accounted for: what clients counted is what is in the store."""

import json
import os
import signal
from collections import Counter

import pytest

from tests.support import crowd
from tests.support.daemon import running_daemon
from tests.support.history import History, is_alive
from tests.support.waiting import until

CONNECTIONS = 50_000
HELD = 200
FEWER = 15_000
MOST_BYTES = 300  # that a connection of the crowd moves in each direction


@pytest.fixture
def echo():
    with crowd.echoing() as port:
        yield port


def rows(data_dir, columns, more=""):
    """Columns of the sessions in the store, which somebody else may be writing."""
    return History(data_dir).ask(f"SELECT {columns} FROM sessions {more}")


def count(data_dir):
    return rows(data_dir, "count(*)", "WHERE status <> 'active'")[0][0]


def add_users(daemon):
    for number in range(crowd.USERS):
        daemon.add_user(crowd.name(number))


def forbid(daemon, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        f"default: allow\ngroups: {{everyone: {{rules: [{{action: block, destinations: [{crowd.FORBIDDEN}]}}]}}}}"
    )
    assert daemon.vpn("policy", "apply", str(policy)).code == 0


def sums(data_dir):
    """Bytes that each user has sent and received."""
    found = rows(data_dir, '"user", sum(bytes_sent), sum(bytes_received)', "GROUP BY 1")
    return {user: (sent, received) for user, sent, received in found if sent or received}


def counted(*crowds):
    both = Counter(), Counter()
    for each in crowds:
        both[0].update(each.sent)
        both[1].update(each.received)
    return {user: (both[0][user], both[1][user]) for user in both[0]}


def test_fifty_thousand_connections_are_as_many_rows_with_the_clients_bytes(tmp_path, echo):
    with running_daemon(tmp_path, VPN_PROXY__WORKERS="2", VPN_LOG__LEVEL="warning") as daemon:
        add_users(daemon)
        forbid(daemon, tmp_path)
        daemon.add_user("held")
        held = hold(daemon, echo)
        made = crowd.begin(daemon.port, echo, CONNECTIONS - HELD).finish()
        killed = daemon.vpn("sessions", "kill", "--user", "held", "--yes")
        assert killed.code == 0, killed
        for client in held:
            with client, pytest.raises(ConnectionResetError):
                client.recv(1)
        until(lambda: count(tmp_path) >= CONNECTIONS)
        assert daemon.process.poll() is None
        assert count(tmp_path) == CONNECTIONS
    outcomes = dict(rows(tmp_path, "reason, count(*)", "GROUP BY 1"))
    assert made.outcomes == {
        "tunnel": outcomes["eof"],
        "authentication_failed": outcomes["authentication_failed"],
        "forbidden": outcomes["blocked_by_rule"],
        "connection_refused": outcomes["connection_refused"],
    }
    assert outcomes["terminated"] == HELD
    assert sums(tmp_path) == counted(made) | {"held": (HELD * 10, HELD * 10)}
    assert len({number for (number,) in rows(tmp_path, "id")}) == CONNECTIONS
    assert count(tmp_path) == CONNECTIONS, "stopping adds nothing"


def unaccounted(daemon):
    """Sessions of which the daemon has said that nobody will hear of them."""
    lines = [json.loads(line) for line in daemon.err.splitlines() if "sessions are unaccounted for" in line]
    return sum(line["sessions"] for line in lines)


def by_reason(data_dir, where):
    return Counter(dict(rows(data_dir, "reason, count(*)", f"WHERE status <> 'active' AND {where} GROUP BY 1")))


HELD_ONES, CROWD = "\"user\" = 'held'", "\"user\" <> 'held'"
REASONS = {
    "tunnel": "eof",
    "authentication_failed": "authentication_failed",
    "forbidden": "blocked_by_rule",
    "connection_refused": "connection_refused",
}


def test_what_a_worker_that_is_killed_takes_along_is_bounded_and_told(tmp_path, echo):
    with running_daemon(tmp_path, VPN_PROXY__WORKERS="2", VPN_LOG__LEVEL="warning") as daemon:
        add_users(daemon)
        forbid(daemon, tmp_path)
        daemon.add_user("held")
        held = hold(daemon, echo)
        making = crowd.begin(daemon.port, echo, FEWER)
        until(lambda: count(tmp_path) >= FEWER // 4)  # the held ones are reported by now
        os.kill(daemon.workers()[0], signal.SIGKILL)
        alive = sum(map(is_alive, held))
        made = making.finish()
        for client in held:
            client.close()
        until(lambda: by_reason(tmp_path, HELD_ONES).total() == HELD)
    assert by_reason(tmp_path, HELD_ONES) == {"worker_died": HELD - alive, "eof": alive}
    found, missing = by_reason(tmp_path, CROWD), unaccounted(daemon)
    died = found["worker_died"]
    completed = {REASONS[said]: number for said, number in made.outcomes.items() if not said.startswith("broken")}
    assert made.outcomes.total() == FEWER
    assert sum(completed.values()) <= found.total() + missing <= FEWER
    for reason, number in completed.items():
        assert number - died - missing <= found[reason]
    assert found["eof"] <= completed["eof"]
    number = found.total() + HELD
    assert rows(tmp_path, "count(*), count(DISTINCT id)") == [(number, number)]

    stored = sums(tmp_path)
    assert stored.pop("held") == (HELD * 10 + alive, HELD * 10 + alive)
    short = 0
    for user, (sent, received) in counted(made).items():
        assert max(stored[user]) <= sent, "of what was echoed not all may have come back"
        short += max(0, sent - stored[user][0], received - stored[user][1])
    assert short <= (missing + died) * MOST_BYTES


def hold(daemon, echo):
    """Tunnels that have moved ten bytes each way, and stay."""
    from tests.support.clients import socks_address
    from tests.support.plane import login, read_exactly

    held = []
    for _ in range(HELD):
        client = crowd._connect(daemon.port, len(held))
        login(client, "held")
        client.sendall(b"\x05\x01\x00" + socks_address("127.0.0.1", echo))
        assert read_exactly(client, 10)[1] == 0
        client.sendall(b"0123456789")
        assert read_exactly(client, 10) == b"0123456789"
        held.append(client)
    return held
