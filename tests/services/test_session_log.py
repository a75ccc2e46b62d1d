from structlog.testing import capture_logs

from vpn.domain.session import Session
from vpn.services.live_sessions import Change, News
from vpn.services.session_log import log_sessions


def session(**fields):
    return Session(1, "main", "192.0.2.1", 4711, 1.0, protocol="socks5", ended=2.5, **fields)


def logged(**fields):
    with capture_logs() as lines:
        log_sessions(News(0, [], [], [Change(session(**fields), 0, 0)]))
    return lines[0]


def test_a_refusal_says_why():
    line = logged(status="rejected_by_acl", reason="loopback_destination", user="alice", host="::1", port=80)
    assert line == {
        "log_level": "info",
        "event": "destination refused",
        "reason": "loopback_destination",
        "user": "alice",
        "destination": "[::1]:80",
        "source": "192.0.2.1:4711",
    }


def test_a_wrong_password_is_a_warning():
    line = logged(status="failed", reason="authentication_failed")
    assert (line["log_level"], line["event"], line["source"]) == ("warning", "authentication failed", "192.0.2.1:4711")


def test_the_rest_is_for_debugging():
    line = logged(status="closed", reason="eof", user="alice", host="a.test", port=80, bytes_sent=3)
    assert (line["log_level"], line["event"], line["seconds"], line["bytes_sent"]) == (
        "debug",
        "session closed",
        1.5,
        3,
    )
