import json
import logging

import pytest
import structlog

from tests.services.test_access_lines import session
from tests.support.waiting import until
from vpn.services import access_log
from vpn.services.access_log import AccessLog
from vpn.services.live_sessions import Change, News
from vpn.settings.logs import AccessLogSettings


@pytest.fixture
def path(tmp_path):
    return tmp_path / "access.log"


@pytest.fixture
def said(monkeypatch):
    """What is logged."""
    with structlog.testing.capture_logs() as said:
        yield said


@pytest.fixture
def log():
    made = AccessLog(lambda: 1_767_225_602.0)
    yield made
    made.close()


def news(count, **fields):
    return News(0, [], [], [Change(session(id=number + 1, **fields), 0, 0) for number in range(count)])


def users(path):
    return [json.loads(line)["user"] for line in path.read_text().splitlines()] if path.exists() else []


def test_each_session_that_ended_has_a_line(log, path, said):
    log.hear(news(1))  # there is no access log
    log.configure(AccessLogSettings(file=path))
    log.hear(news(2500))
    log.hear(news(1, user="bob"))
    until(lambda: len(users(path)) == 2501)
    log.close()
    assert users(path)[-2:] == ["alice", "bob"]
    log.hear(news(1))  # none any more
    assert said == []


def test_other_settings_hold_at_once(log, path, tmp_path):
    log.configure(AccessLogSettings(file=path))
    log.hear(news(1))
    log.configure(AccessLogSettings(file=tmp_path / "other.log", format="combined"))
    log.hear(news(1))
    until(lambda: len(users(path)) == 1 and (tmp_path / "other.log").exists())
    log.close()
    assert b"CONNECT" in (tmp_path / "other.log").read_bytes()


def test_a_file_that_was_moved_is_made_anew_when_that_is_said(log, path):
    log.configure(AccessLogSettings(file=path))
    log.hear(news(1))
    until(lambda: len(users(path)) == 1)
    path.rename(f"{path}.1")
    log.configure(AccessLogSettings(file=path))  # as a reload does
    log.hear(news(2))
    until(lambda: len(users(path)) == 2)


def test_what_cannot_be_written_is_said_once_and_written_later(log, path, monkeypatch, said):
    monkeypatch.setattr(access_log, "RETRY", 0.01)
    monkeypatch.setattr(access_log, "MOST_WAITING", 50)
    directory = path.parent / "later"
    log.configure(AccessLogSettings(file=directory / "access.log"))
    log.hear(news(30))
    until(lambda: said)
    log.hear(news(60, user="bob"))
    log.hear(news(5, user="carol"))
    directory.mkdir()
    until(lambda: len(users(directory / "access.log")) == 80)
    log.close()
    assert users(directory / "access.log") == ["alice"] * 30 + ["bob"] * 50
    assert [line["event"] for line in said] == [
        "the access log cannot be written",
        "the access log is written again",
        "lines of the access log were left out",
    ]
    assert said[0]["reason"] == "No such file or directory"
    assert said[2]["lines"] == 15


def test_a_full_disk_does_not_keep_the_daemon_from_ending(log, said):
    log.configure(AccessLogSettings(file="/dev/full", max_size=0))
    log.hear(news(3))
    until(lambda: said)
    log.close()
    events = [line["event"] for line in said]
    assert events == ["the access log cannot be written", "the last lines of the access log are lost"]
    assert logging.getLevelNamesMapping()[said[0]["log_level"].upper()] == logging.ERROR
