import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.errors import Invalid
from vpn.domain.session import LARGEST_ID, Session, SessionIds, first_id, parse_id, show_id


def test_a_session_begins_active_and_empty():
    session = Session(1, "main", "192.0.2.1", 4711, 1.5)
    assert (session.status, session.user, session.bytes_sent, session.ended) == ("active", "", 0, 0.0)


def test_a_session_survives_the_way_to_the_daemon():
    session = Session(1, "main", "192.0.2.1", 4711, 1.5, user="alice", status="rejected_by_acl", ended=2.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(session), type=Session) == session


def test_a_session_does_not_end_before_it_began():
    session = Session(1, "main", "192.0.2.1", 4711, 1000.0)
    session.end("closed", "eof", 900.0)
    assert (session.ended, session.reason) == (1000.0, "eof")


CLOCK = st.floats(-1e9, 1e11)


@given(st.lists(st.tuples(CLOCK, st.integers(1, 20_000)), min_size=1, max_size=3), st.integers(0, 2**14))
def test_identifiers_grow_and_fit_whatever_the_clock_does(jumps, first):
    ids = SessionIds(3, first)
    last = 0
    for moment, count in jumps:
        for _ in range(count):
            number = ids.next(moment)
            assert last < number <= LARGEST_ID
            last = number


@given(CLOCK, CLOCK, st.integers(0, 2**14), st.integers(0, 2**14))
def test_who_goes_on_after_another_gives_greater_ones(before, after, first, second):
    last = SessionIds(3, first).next(before)
    assert SessionIds(3, second, last).next(after) > last


def test_workers_at_the_same_moment_give_others():
    moment = 1.7e9
    made = {SessionIds(worker, 5).next(moment) for worker in range(256)}
    assert len(made) == 256


def test_identifiers_are_in_the_order_of_time():
    ids = SessionIds(255, 2**14 - 2)
    assert ids.next(1.7e9) < first_id(1.7e9 + 1) <= ids.next(1.7e9 + 1)


def test_an_identifier_is_read_as_it_is_shown():
    number = SessionIds(1).next(1.7e9)
    assert parse_id(show_id(number)) == number
    for text in ("", "0" * 16, "f" * 16, "xyz", show_id(number)[1:], "+" + show_id(number)[1:]):
        with pytest.raises(Invalid):
            parse_id(text)
