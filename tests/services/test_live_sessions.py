import msgspec

from vpn.domain.session import Session
from vpn.proxy.control import Moved, Report
from vpn.services.live_sessions import LiveSessions


def session(number=1, **fields):
    return Session(number, "main", "192.0.2.1", 4711, 1.0, **fields)


def report(live=(), moved=(), **fields):
    return Report(0, 0, 0, 0, live=list(live), moved=list(moved), **fields)


def test_changes_add_up_to_what_a_session_moved():
    live = LiveSessions()
    first = live.hear(0, report([session(bytes_sent=10)]), [])
    assert [each.id for each in first.began] == [1]
    second = live.hear(0, report(moved=[Moved(1, 15, 3, 0, 0)]), [])
    third = live.hear(0, report([session(bytes_sent=20, bytes_received=3, host="a.test")]), [])
    last = live.hear(0, report(), [session(bytes_sent=22, bytes_received=4, status="closed")])
    changes = [*first.moved, *second.moved, *third.moved, *last.ended]
    assert [(each.sent, each.received) for each in changes] == [(10, 0), (5, 3), (5, 0), (2, 1)]
    assert (second.began, third.began, len(live)) == ([], [], 0)


def test_a_short_session_is_new_and_over_at_once():
    live = LiveSessions()
    news = live.hear(0, report(), [session(bytes_sent=5)])
    assert [(each.sent, each.received) for each in news.ended] == [(5, 0)]
    assert news.began == []


def test_the_sessions_of_a_worker_that_is_gone_are_taken_away():
    live = LiveSessions()
    live.hear(0, report([session(1)]), [])
    live.hear(1, report([session(2)]), [])
    assert [each.id for each in live.take(0)] == [1]
    assert [each.id for each in live] == [2]
    assert live.get(1) is None
    assert live.get(2) == msgspec.structs.replace(session(2))


def test_what_was_heard_of_before_a_worker_was_gone_is_not_told_again():
    live = LiveSessions()
    live.hear(0, report([session(1, bytes_sent=10), session(2, bytes_received=5)]), [])
    taken = live.take(0)
    news = live.hear(0, report(), [msgspec.structs.replace(each, status="closed") for each in taken])
    assert [(each.session.id, each.sent, each.received) for each in news.ended] == [(1, 0, 0), (2, 0, 0)]
    assert len(live) == 0


def test_those_are_gone_whose_end_was_lost():
    live = LiveSessions()
    live.hear(0, report([session(1), session(2), session(3)]), [])
    news = live.hear(0, report([session(2)], whole=True), [session(3, bytes_sent=5, status="closed")])
    assert [each.id for each in live] == [2]
    assert (news.began, [(each.session.id, each.sent) for each in news.ended]) == ([], [(3, 5)])
