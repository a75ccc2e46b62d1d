"""Every connection is accounted for: what clients counted is what is in the store."""

from collections import Counter

import pytest

from tests.support import crowd
from tests.support.daemon import running_daemon
from tests.support.history import History
from tests.support.waiting import until

CONNECTIONS = 50_000
HELD = 200


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
