from hypothesis import given
from hypothesis import strategies as st

from tests.support.sums import expected, stored
from vpn.domain.rollups import KINDS, OTHERS, Stored, Sums, lump, tally, weight
from vpn.domain.session import Session
from vpn.domain.spans import DAY, HOUR, Range

MONDAY = 1_763_337_600


@given(st.lists(stored(MONDAY, MONDAY + DAY)), st.floats(MONDAY, MONDAY + DAY))
def test_sums_are_those_of_the_plainest_way(some, now):
    hours = tally(some, now)
    told = [(now, each) for each in some]
    for hour in range(MONDAY - HOUR, MONDAY + DAY + HOUR, HOUR):
        for kind in KINDS:
            found = hours[hour][kind] if hour in hours else {}
            assert found == expected(told, kind, Range(hour, hour + HOUR)), kind


@given(st.lists(stored(MONDAY, MONDAY + DAY)))
def test_every_kind_has_all_sessions_in_it(some):
    for tables in tally(some, MONDAY).values():
        counts = {kind: sum(sums.sessions for sums in table.values()) for kind, table in tables.items()}
        assert set(counts.values()) == {tables["all"][""].sessions if tables["all"] else 0}


def test_a_session_that_ended_nobody_knows_when_ended_now():
    session = Session(1, "main", "192.0.2.1", 1, 5.0, status="closed", reason="daemon_died")
    assert tally([Stored(session, 3, 4)], MONDAY + 5)[MONDAY]["all"] == {"": Sums(1, 0, 0, 3, 4, 0)}
    assert tally([Stored(session, 3, 4)], 5)[0]["all"] == {"": Sums(1, 0, 0, 3, 4, 0)}


def test_a_clock_that_was_set_back_makes_no_negative_duration():
    session = Session(1, "main", "192.0.2.1", 1, MONDAY + 9.0, status="closed", ended=MONDAY + 1.0)
    assert tally([Stored(session, 0, 0)], MONDAY)[MONDAY]["all"][""].milliseconds == 0


def test_what_clients_say_fits_the_database():
    session = Session(1, "main", "192.0.2.1", 1, 1.0, user="a\0b", host="x" * 300, status="failed", ended=MONDAY)
    tables = tally([Stored(session, 0, 0)], MONDAY)[MONDAY]
    assert list(tables["user"]) == ["ab"]
    assert list(tables["destination"]) == ["x" * 255]


tables = st.dictionaries(
    st.sampled_from([OTHERS, *"abcdefghij"]), st.builds(Sums, *[st.integers(0, 5)] * 3, *[st.integers(0, 10**6)] * 3)
)


@given(tables, st.sets(st.sampled_from([*"abcdefghijkl"])), st.integers(0, 5))
def test_what_is_put_together_loses_nothing_and_keeps_the_heaviest(table, known, most):
    few = lump(table, known, most)
    for place in range(6):
        assert sum(sums[place] for sums in few.values()) == sum(sums[place] for sums in table.values())
    new = few.keys() - known - {OTHERS}
    assert len(new) <= most
    assert all(few[key] == table[key] for key in few if key != OTHERS)
    lost = table.keys() - few.keys()
    assert not lost & known
    assert all(weight(table[gone]) <= weight(table[kept]) for gone in lost for kept in new)
