from types import SimpleNamespace

from structlog.testing import capture_logs

from vpn.domain.session import Session
from vpn.proxy.control import Report
from vpn.services.live_sessions import LiveSessions
from vpn.services.session_feed import SessionFeed


def test_an_observer_with_a_defect_costs_no_session_and_is_told_once():
    heard, stored = [], []
    feed = SessionFeed(LiveSessions(), SimpleNamespace(take=lambda journal, ended: stored.append(ended)))
    feed.tell(lambda news: 1 / 0)
    feed.tell(heard.append)
    ended = [Session(1, "main", "192.0.2.1", 1, 1.0, status="closed", ended=2.0)]
    with capture_logs() as logs:
        feed.hear(0, Report(1, 0, 0, 0), ended, None)
        feed.hear(0, Report(1, 0, 0, 0), ended, None)
    assert stored == [ended, ended]
    assert len(heard) == 2
    assert [line["event"] for line in logs] == ["defect in what observes sessions"]


def test_without_a_writer_the_journal_is_done_with():
    taken = []
    SessionFeed(LiveSessions(), None).hear(0, Report(1, 0, 0, 0), [], SimpleNamespace(read_to=7, take=taken.append))
    assert taken == [7]
