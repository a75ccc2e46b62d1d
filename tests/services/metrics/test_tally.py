import pytest

from tests.support.clock import Clock
from vpn.domain.session import Session
from vpn.services.live_sessions import Change, News
from vpn.services.metrics import tally as module
from vpn.services.metrics.tally import ELECTION, MOST_ROWS, MOST_RULES, Tally, is_refusal
from vpn.services.metrics.top import OTHER


@pytest.fixture
def clock():
    return Clock(0.0)


@pytest.fixture
def tally(clock):
    return Tally(2, 2, clock)


def session(**fields):
    given = {
        "id": 1,
        "inbound": "main",
        "source_host": "192.0.2.1",
        "source_port": 1,
        "started": 100.0,
        "protocol": "socks5",
        "user": "alice",
        "host": "example.org",
        "status": "closed",
        "reason": "eof",
        "ended": 102.0,
    }
    return Session(**given | fields)


def ended(*sessions, sent=0, received=0):
    return News(0, [], [], [Change(each, sent, received) for each in sessions])


def live(*changes):
    return News(0, [], list(changes), [])


def test_sessions_are_counted_by_what_became_of_them(tally):
    tally.hear(ended(session(), session(), session(status="failed", reason="refused"), session(inbound="tls")))
    assert {key: kin.count for key, kin in tally.kin.items()} == {
        ("main", "socks5", "closed", "eof", ""): 2,
        ("main", "socks5", "failed", "refused", ""): 1,
        ("tls", "socks5", "closed", "eof", ""): 1,
    }


def test_durations_are_of_those_that_were_let_through(tally):
    tally.hear(ended(session(), session(status="failed"), session(status="rejected_by_acl")))
    assert list(tally.durations) == [("main", "socks5")]
    histogram = tally.durations["main", "socks5"]
    assert (histogram.cumulative()[-1], histogram.sum) == (1, 2.0)


def test_a_clock_that_was_set_back_takes_nothing_away(tally):
    tally.hear(ended(session(ended=50.0)))
    histogram = tally.durations["main", "socks5"]
    assert (histogram.counts[0], histogram.sum) == (1, 0.0)


def test_times_are_told_apart_by_the_way_out(tally):
    tally.hear(ended(session(connect_time=0.02, first_byte_time=0.3), session(connect_time=2.0, upstream="paris")))
    assert tally.connects["main", "direct"].sum == 0.02
    assert tally.connects["main", "paris"].sum == 2.0
    assert tally.first_bytes["main", "direct"].sum == 0.3
    assert tally.first_bytes["main", "paris"].cumulative()[-1] == 0, "there was no first byte"


def test_bytes_of_live_sessions_are_counted_once(tally):
    one = session(ended=0.0, status="active")
    tally.hear(live(Change(one, 10, 100)))
    tally.hear(live(Change(one, 5, 0), Change(one, 0, 0)))
    tally.hear(ended(session(), sent=1, received=2))
    assert (tally.traffic["main"].sent, tally.traffic["main"].received) == (16, 102)
    assert {name: (count.sessions, count.sent, count.received) for name, count in tally.users.counts()} == {
        "alice": (1, 16, 102),
        OTHER: (0, 0, 0),
    }
    assert tally.destinations.counts()[0][1].received == 102


def test_sessions_of_nobody_to_nowhere(tally):
    tally.hear(ended(session(user="", host="")))
    assert [name for name, _ in tally.users.counts()] == [OTHER]
    assert tally.users.other.sessions == tally.destinations.other.sessions == 0


def test_rules_are_counted_and_bounded(tally):
    tally.hear(ended(session(rule="default"), session(rule="default"), session(rule="r", status="rejected_by_acl")))
    assert (tally.allowed, tally.blocked) == ({"default": 2}, {"r": 1})
    tally.hear(ended(*(session(rule=f"rules.{number}") for number in range(100))))
    assert len(tally.allowed) == MOST_RULES + 1
    assert sum(tally.allowed.values()) == 102


def test_thousands_of_users_and_destinations_are_few_series(tally):
    tally.hear(ended(*(session(user=f"u{n}", host=f"h{n}") for n in range(10_000)), sent=1))
    for top in (tally.users, tally.destinations):
        counts = dict(top.counts())
        assert len(counts) == 3
        assert counts[OTHER].sessions == 9998
        assert sum(count.sent for count in counts.values()) == 10_000
    assert len(tally.destinations.rows) <= module.MOST_DESTINATIONS


def test_whatever_comes_the_rows_are_bounded(tally):
    tally.hear(ended(*(session(reason=f"r{n}") for n in range(MOST_ROWS + 500))))
    assert len(tally.kin) == MOST_ROWS + 1
    assert sum(kin.count for kin in tally.kin.values()) == MOST_ROWS + 500


def test_who_is_shown_is_looked_at_once_a_minute(tally, clock):
    tally.hear(ended(session(user="a"), session(user="b"), sent=1))
    tally.hear(ended(session(user="c"), sent=100))
    tally.elect()
    assert [name for name, _ in tally.users.counts()] == ["a", "b", OTHER]
    clock.now += ELECTION
    tally.elect()
    assert "c" in dict(tally.users.counts())


@pytest.mark.parametrize(
    ("status", "reason", "refused"),
    [
        ("rejected_by_acl", "blocked_by_rule", True),
        ("failed", "authentication_failed", True),
        ("rejected_by_acl", "too_many_devices", True),
        ("failed", "refused", False),
        ("closed", "over_quota", False),
    ],
)
def test_what_is_a_refusal(status, reason, refused):
    assert is_refusal(status, reason) is refused
