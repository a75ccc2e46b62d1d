import pytest

from vpn.proxy.control import SnapshotUser, Verdict
from vpn.proxy.credentials import MOST_WAITING, Credentials

SOURCE = "192.0.2.1"


@pytest.fixture
def asked():
    return []


@pytest.fixture
def tried():
    return []


@pytest.fixture
def credentials(asked, tried):
    credentials = Credentials(asked.append, lambda *attempt: tried.append(attempt))
    credentials.replace_users([SnapshotUser("Alice", 7), SnapshotUser("bob", 8, "user_disabled")])
    return credentials


def learn(credentials, asked, name, password, accepted, credential):
    """Ask, and let the daemon answer; returns what the client is told."""
    answers = []
    assert credentials.check(name, password, SOURCE, 0.0, answers.append) is None
    credentials.settle(Verdict(asked[-1].id, accepted, credential), 0.0)
    return answers


def test_the_daemon_is_asked_once(credentials, asked):
    assert learn(credentials, asked, "alice", "right", True, 7) == [True]
    assert credentials.check("alice", "right", SOURCE, 1.0, pytest.fail) is True
    assert len(asked) == 1
    assert (asked[0].user, asked[0].password, asked[0].source) == ("alice", "right", SOURCE)


def test_a_wrong_password_is_remembered_too(credentials, asked):
    assert learn(credentials, asked, "alice", "wrong", False, 7) == [False]
    assert credentials.check("alice", "wrong", SOURCE, 1.0, pytest.fail) is False


def test_a_new_password_voids_what_was_remembered(credentials, asked):
    learn(credentials, asked, "alice", "old", True, 7)
    credentials.replace_users([SnapshotUser("alice", 9)])
    assert credentials.check("alice", "old", SOURCE, 1.0, lambda accepted: None) is None


def test_a_user_who_is_removed_and_added_again_is_another(credentials, asked):
    learn(credentials, asked, "alice", "old", True, 7)
    credentials.replace_users([])
    credentials.replace_users([SnapshotUser("alice", 12)])
    assert credentials.check("alice", "old", SOURCE, 1.0, lambda accepted: None) is None


def test_a_disabled_user_stays_out_though_the_password_is_remembered(credentials, asked):
    learn(credentials, asked, "alice", "right", True, 7)
    credentials.replace_users([SnapshotUser("alice", 7, "user_disabled")])
    assert credentials.check("alice", "right", SOURCE, 1.0, pytest.fail) is False
    assert not credentials.allowed("alice")
    credentials.replace_users([SnapshotUser("alice", 7)])
    assert credentials.check("alice", "right", SOURCE, 1.0, pytest.fail) is True


def test_a_verdict_on_an_older_password_is_no(credentials, asked):
    answers = []
    credentials.check("alice", "right", SOURCE, 0.0, answers.append)
    credentials.replace_users([SnapshotUser("alice", 9)])
    credentials.settle(Verdict(asked[-1].id, True, 7), 0.0)
    assert answers == [False]


def test_a_user_disabled_meanwhile_stays_out(credentials, asked):
    assert learn(credentials, asked, "bob", "right", True, 8) == [False]


def test_a_user_who_tried_while_disabled_is_let_in_once_enabled(credentials, asked):
    assert learn(credentials, asked, "bob", "right", True, 8) == [False]
    credentials.replace_users([SnapshotUser("bob", 8)])
    assert credentials.check("bob", "right", SOURCE, 1.0, pytest.fail) is True


def test_an_answer_to_no_question_is_ignored(credentials):
    credentials.settle(Verdict(99, True, 7), 0.0)


def test_a_name_that_nobody_bears_is_asked_about_like_any_other(credentials, asked):
    assert learn(credentials, asked, "mallory", "x", False, 0) == [False]
    assert len(asked) == 1


def test_those_who_wait_are_bounded(credentials, asked):
    for number in range(MOST_WAITING):
        assert credentials.check("alice", str(number), SOURCE, 0.0, lambda accepted: None) is None
    assert credentials.check("alice", "one more", SOURCE, 0.0, pytest.fail) is False
    assert len(asked) == MOST_WAITING


def test_what_is_judged_without_asking_is_told(credentials, asked, tried):
    learn(credentials, asked, "alice", "right", True, 7)
    learn(credentials, asked, "alice", "wrong", False, 7)
    assert tried == [], "the daemon knows"
    credentials.check("alice", "wrong", SOURCE, 1.0, pytest.fail)
    credentials.check("Alice", "right", SOURCE, 1.0, lambda accepted: None)
    credentials.check("alice", "right", "192.0.2.2", 1.0, pytest.fail)
    assert tried == [("alice", SOURCE, False), ("alice", "192.0.2.2", True)]


def test_a_disabled_users_right_password_is_no_failure(credentials, asked, tried):
    learn(credentials, asked, "bob", "right", True, 8)
    assert credentials.check("bob", "right", SOURCE, 1.0, pytest.fail) is False
    assert tried == [("bob", SOURCE, True)]
