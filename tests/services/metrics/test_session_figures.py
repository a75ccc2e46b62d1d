import pytest

from vpn.domain.session import Session
from vpn.monitoring import session_families as table
from vpn.services.live_sessions import Change, News
from vpn.services.metrics.session_figures import put_sessions
from vpn.services.metrics.sheet import Sheet
from vpn.services.metrics.tally import Tally


def session(protocol="socks5", user="alice", **fields):
    return Session(1, "main", "192.0.2.1", 1, 100.0, protocol, user=user, host="example.org", **fields)


@pytest.fixture
def values():
    tally = Tally(20, 20, lambda: 0.0)
    ended = [
        session(status="closed", reason="eof", ended=101.0, rule="default"),
        session(status="closed", reason="eof", ended=101.0, upstream="paris", connect_time=0.1),
        session(status="rejected_by_acl", reason="blocked_by_rule", ended=100.0, rule="rules.0"),
        session(status="failed", reason="refused", ended=100.0),
        session(status="failed", reason="user_banned", ended=100.0),
    ]
    tally.hear(News(0, [], [], [Change(each, 10, 20) for each in ended]))
    sheet = Sheet()
    put_sessions(sheet, tally, [session("http"), session("http"), session(user="bob"), session(user="")], 7)
    metrics = {each.name: each for each in sheet.collect()}

    def values(family):
        return {tuple(each.labels.values()): each.value for each in metrics[family.base].samples}

    return values


def test_sessions(values):
    assert values(table.SESSIONS_STARTED) == {(): 7}
    assert values(table.SESSIONS_ACTIVE) == {("main", "http"): 2, ("main", "socks5"): 2}
    assert values(table.SESSIONS_ENDED) == {
        ("main", "socks5", "closed", "eof"): 2,
        ("main", "socks5", "rejected_by_acl", "blocked_by_rule"): 1,
        ("main", "socks5", "failed", "refused"): 1,
        ("main", "socks5", "failed", "user_banned"): 1,
    }
    assert values(table.SESSIONS_REJECTED) == {("main", "blocked_by_rule"): 1, ("main", "user_banned"): 1}


def test_who_has_live_ones(values):
    assert values(table.USERS_ACTIVE) == {(): 2}
    assert values(table.USER_ACTIVE) == {("alice",): 2, ("other",): 1}


def test_what_they_moved_and_who_decided(values):
    assert values(table.TRAFFIC) == {("main", "sent"): 50, ("main", "received"): 100}
    assert values(table.RULE_MATCHES) == {("default", "allow"): 1, ("rules.0", "block"): 1}
    assert values(table.USER_SESSIONS) == {("alice",): 5, ("other",): 0}
    assert values(table.USER_TRAFFIC)["alice", "received"] == 100
    assert values(table.DESTINATION_SESSIONS) == {("example.org",): 5, ("other",): 0}
    assert values(table.DESTINATION_TRAFFIC)["example.org", "sent"] == 50


def test_how_long_they_took(values):
    assert values(table.SESSION_DURATION)["main", "socks5"] == 2.0
    assert values(table.SESSION_CONNECT)["main", "paris", "+Inf"] == 1
    assert values(table.SESSION_CONNECT)["main", "direct", "+Inf"] == 0
