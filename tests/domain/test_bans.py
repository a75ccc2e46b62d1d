from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain import bans as module
from vpn.domain.bans import (
    FIRST_DELAY,
    LONGEST_DELAY,
    BanRules,
    Failures,
    check_reason,
    parse_subject,
    source_subject,
    user_subject,
)
from vpn.domain.errors import Invalid
from vpn.domain.network import parse_networks

RULES = BanRules(slow_after=3, ban_after=5, window=100.0, ban_time=10.0, max_ban_time=40.0)


def fail(failures, times, source="192.0.2.1", user="alice", now=1000.0):
    return [ban for _ in range(times) for ban in failures.record(source, user, now)]


def test_the_fifth_failure_bans_source_and_name():
    failures = Failures(RULES)
    assert fail(failures, 4) == []
    source, user = fail(failures, 1)
    assert (source.kind, source.subject, source.failures, source.reason) == ("source", "192.0.2.1", 5, "brute_force")
    assert (user.kind, user.subject) == ("user", "alice")
    assert source.created_at == datetime.fromtimestamp(1000, UTC)
    assert (source.until - source.created_at).total_seconds() == 10


def test_many_names_from_one_source_are_the_sources_failures():
    failures = Failures(RULES)
    bans = [ban for number in range(5) for ban in failures.record("192.0.2.1", f"user{number}", 0.0)]
    assert [(ban.kind, ban.subject) for ban in bans] == [("source", "192.0.2.1")]
    assert failures.count("user", "user0", 0.0) == 1


def test_many_sources_at_one_name_are_the_names_failures():
    failures = Failures(RULES)
    bans = [ban for number in range(5) for ban in failures.record(f"192.0.2.{number}", "alice", 0.0)]
    assert [(ban.kind, ban.subject) for ban in bans] == [("user", "alice")]


def test_a_name_that_nobody_can_bear_counts_for_the_source_alone():
    failures = Failures(RULES)
    assert [ban.kind for ban in fail(failures, 5, user="")] == ["source"]


def test_delays_double_and_end_somewhere():
    failures = Failures(BanRules(slow_after=2, ban_after=100))
    delays = []
    for _ in range(9):
        delays.append(failures.delay("a", "alice", 0.0))
        failures.record("a", "alice", 0.0)
    assert delays == [0, 0, FIRST_DELAY, 0.5, 1, 2, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]
    assert failures.delay("b", "alice", 0.0) == LONGEST_DELAY, "the name is slow from elsewhere too"
    assert failures.delay("b", "bob", 0.0) == 0
    assert failures.delay("a", "alice", 601.0) == 0


def test_a_user_is_neither_slowed_nor_banned_where_the_password_was_right():
    failures = Failures(RULES)
    failures.succeeded("home", "alice", 0.0)
    for number in range(4):
        failures.record(f"{number}", "alice", 1.0)
    assert failures.delay("home", "alice", 1.0) == 0.0
    assert failures.delay("elsewhere", "alice", 1.0) > 0
    assert failures.record("home", "alice", 1.0) == [], "nor do typing errors at home count against the name"
    assert failures.count("source", "home", 1.0) == 1
    (ban,) = failures.record("elsewhere", "alice", 1.0)
    assert (ban.kind, ban.exempt) == ("user", ("home",))


def test_a_right_password_does_not_undo_failures():
    failures = Failures(RULES)
    fail(failures, 4, user="alice")
    failures.succeeded("192.0.2.1", "mallory", 1000.0)
    assert [ban.kind for ban in fail(failures, 1, user="bob")] == ["source"]


def test_repeated_bans_get_longer_up_to_a_maximum_and_are_forgiven():
    failures = Failures(RULES)
    now, lengths = 1000.0, []
    for _ in range(4):
        ban = fail(failures, 5, now=now)[0]
        lengths.append((ban.until - ban.created_at).total_seconds())
        now = ban.until.timestamp() + 1
    assert lengths == [10, 20, 40, 40]
    ban = fail(failures, 5, now=now + RULES.max_ban_time)[0]
    assert (ban.until - ban.created_at).total_seconds() == 10


def test_forgetting():
    failures = Failures(RULES)
    fail(failures, 4)
    failures.forget("source", "192.0.2.1")
    failures.forget("user", "nobody")
    assert failures.count("source", "192.0.2.1", 1000.0) == 0
    assert failures.count("user", "alice", 1000.0) == 4


def test_subjects_are_bounded_and_the_stalest_is_forgotten(monkeypatch):
    monkeypatch.setattr(module, "MOST_SUBJECTS", 2)
    failures = Failures(RULES)
    for source in ("a", "b", "a", "c"):
        failures.record(source, "", 0.0)
    assert [failures.count("source", source, 0.0) for source in "abc"] == [2, 0, 1]


@given(
    st.lists(
        st.tuples(st.floats(0, 60), st.sampled_from("ab"), st.sampled_from(["alice", "bob"]), st.booleans()),
        max_size=60,
    )
)
def test_it_agrees_with_a_list_of_everything(steps):
    """The model keeps every failure there was, and looks through all of them."""
    failures = Failures(RULES)
    history, home, banned, now = [], set(), [], 1000.0
    for pause, source, user, right in steps:
        now += pause
        if right:
            failures.succeeded(source, user, now)
            home.add((source, user))
            continue
        expected = []
        for kind, subject in (("source", source), ("user", user)):
            if kind == "user" and (source, user) in home:
                continue
            history.append((kind, subject, now))
            last = max((each[2] for each in banned if each[:2] == (kind, subject)), default=-1)
            since = [index for index, each in enumerate(history) if each[:2] == (kind, subject) and index > last]
            within = [index for index in since if history[index][2] > now - RULES.window]
            if len(within) >= RULES.ban_after:
                banned.append((kind, subject, len(history) - 1))
                expected.append((kind, subject))
        assert [(ban.kind, ban.subject) for ban in failures.record(source, user, now)] == expected
        for name in ("alice", "bob"):
            last = max((each[2] for each in banned if each[:2] == ("user", name)), default=-1)
            count = sum(each[:2] == ("user", name) and each[2] > now - RULES.window for each in history[last + 1 :])
            assert failures.count("user", name, now) == count


@pytest.mark.parametrize(
    ("host", "subject"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:DB8:0:0:ffff::1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("not:an:address", "not:an:address"),
    ],
)
def test_what_counts_as_one_source(host, subject):
    assert source_subject(host) == subject


def test_names_that_nobody_can_bear_are_no_subjects():
    assert user_subject("Alice") == "alice"
    assert [user_subject(name) for name in ("", "a b", "a\0", "x" * 65)] == [""] * 4


@pytest.mark.parametrize(
    ("text", "kind", "subject"),
    [
        ("192.0.2.1", None, ("source", "192.0.2.1")),
        ("2001:db8::5", None, ("source", "2001:db8::/64")),
        ("2001:db8::/64", "source", ("source", "2001:db8::/64")),
        ("Alice", None, ("user", "alice")),
        ("10.0.0.1", "user", ("user", "10.0.0.1")),
    ],
)
def test_whom_a_person_means(text, kind, subject):
    assert parse_subject(text, kind) == subject


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("10.0.0.0/8", None, "bad_source"),
        ("2001:db8::/48", None, "bad_source"),
        ("alice", "source", "bad_source"),
        ("a b", None, "bad_name"),
        ("", "user", "bad_name"),
    ],
)
def test_who_cannot_be_meant(text, kind, code):
    with pytest.raises(Invalid) as caught:
        parse_subject(text, kind)
    assert caught.value.code == code


def test_trusted_networks():
    rules = BanRules(trusted=parse_networks(["127.0.0.0/8", "::1/128", "2001:db8::/32"]))
    trusted = ["127.0.0.9", "::ffff:127.0.0.9", "::1", "2001:db8:1::/64", "2001:db8::1%eth0"]
    assert [host for host in (*trusted, "192.0.2.1", "::2", "") if rules.trusts(host)] == trusted


def test_reasons_are_one_short_line():
    assert check_reason("spam from there") == "spam from there"
    for reason in ("a\nb", "x" * 201):
        with pytest.raises(Invalid):
            check_reason(reason)
