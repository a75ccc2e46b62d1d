import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.errors import Conflict, Invalid
from vpn.domain.limits import Limits
from vpn.domain.password import hash_password
from vpn.domain.roster import MOST_PROBLEMS, MOST_ROWS, Problems, read_rows, write_row
from vpn.domain.user import User

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
GROUPS = {"staff", "eu"}
HASH = hash_password("x")


def test_rows_as_a_table_has_them():
    [row] = read_rows(
        [
            {
                "row": 7,
                "name": "alice",
                "password": "s3cret",
                "enabled": "No",
                "groups": "staff; eu",
                "limits": {"down": "20mbit"},
            }
        ],
        GROUPS,
        NOW,
    )
    assert (row.row, row.password) == (7, "s3cret")
    assert row.fields() == {"enabled": False, "groups": ("staff", "eu"), "limits": {"down": "20mbit"}}


def test_what_is_not_said_is_not_changed():
    [row] = read_rows([{"name": "alice"}], GROUPS, NOW)
    assert row.fields() == {}
    assert row.row == 1


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"name": "a b"}, "characters"),
        ({}, "missing required field `name`"),
        ("alice", "Expected `object`"),
        (None, "Expected `object`"),
        ({"name": "a", "nmae": 1}, "unknown field `nmae`"),
        ({"name": "a", "\ud800": 1}, ""),
        ({"name": 5}, "Expected `str`"),
        ({"name": "a", "password": ""}, "password is empty"),
        ({"name": "a", "password": "x", "password_hash": HASH}, "both"),
        ({"name": "a", "password_hash": "x"}, "argon2id"),
        ({"name": "a", "enabled": "perhaps"}, "enabled: 'perhaps'"),
        ({"name": "a", "groups": "a b"}, "group name"),
        ({"name": "a", "groups": ["everyone"]}, "everyone"),
        ({"name": "a", "groups": "STAFF; nothing"}, "there is no group nothing"),
        ({"name": "a", "note": "\ud800"}, "Unicode"),
        ({"name": "a", "limits": {"down": "fast"}}, "down: 'fast' is not a rate"),
        ({"name": "a", "limits": {"speed": 1}}, "'speed' is not a limit"),
        ({"name": "a", "first_used_at": "2026-01-01T00:00:00"}, "time zone"),
        ({"name": "a", "first_used_at": "yesterday"}, "datetime"),
    ],
)
def test_bad_rows_are_named(raw, message):
    with pytest.raises(Invalid) as caught:
        read_rows([{"name": "fine"}, raw], GROUPS, NOW)
    assert caught.value.code == "bad_rows"
    headline, problem = caught.value.message.splitlines()
    assert headline == "nothing was imported, because of 1 problem:"
    assert problem.startswith("row 2: ")
    assert message in problem
    caught.value.message.encode()


def test_all_bad_rows_are_named_by_their_own_numbers():
    with pytest.raises(Invalid) as caught:
        rows = [{"name": ""}, {"name": "a", "note": "\n"}, {"name": "A"}, {"name": "b", "groups": "no"}, {"name": "c"}]
        read_rows([row | {"row": number} for number, row in enumerate(rows, 10)], GROUPS, NOW)
    named = [line.split(":")[0] for line in caught.value.message.splitlines()[1:]]
    assert named == ["row 10", "row 11", "row 12", "row 13"]


def test_not_endlessly_many():
    with pytest.raises(Invalid) as caught:
        read_rows([{}] * MOST_ROWS, GROUPS, NOW)
    assert len(caught.value.message.splitlines()) == 1 + MOST_PROBLEMS
    assert f"at least {MOST_PROBLEMS}" in caught.value.message
    with pytest.raises(Invalid) as caught:
        read_rows([{}] * (MOST_ROWS + 1), GROUPS, NOW)
    assert caught.value.code == "too_many_rows"


def test_names_that_are_taken_are_a_conflict_unless_more_is_wrong():
    problems = Problems()
    problems.finish()
    problems.add(1, Conflict("user_exists", "there is a user a already", "x"))
    with pytest.raises(Conflict):
        problems.finish()
    problems.add(2, Invalid("bad_row", "no", "x"))
    with pytest.raises(Invalid, match="2 problems"):
        problems.finish()


def test_a_password_is_in_no_message():
    with pytest.raises(Invalid) as caught:
        read_rows([{"name": "a", "password": "top\0secret"}, {"name": "b", "password": ["topsecret"]}], GROUPS, NOW)
    assert "secret" not in caught.value.message


USER = User(
    name="Alice",
    password_hash=HASH,
    credential=5,
    enabled=False,
    note="=1+1",
    created_at=NOW,
    updated_at=NOW,
    number=3,
    groups=("staff", "eu"),
    limits=Limits(down=8000, sources=(), expires_at=NOW, warn_at=(80,)),
    first_used_at=NOW,
)


def test_what_is_written_is_read():
    written = json.loads(json.dumps(write_row(USER, with_hash=True)))
    [row] = read_rows([written], GROUPS, NOW)
    assert row.fields() == {
        "note": "=1+1",
        "enabled": False,
        "groups": ["staff", "eu"],
        "limits": {"down": 8000, "sources": [], "expires_at": "2026-11-21T12:00:00Z", "warn_at": [80]},
    }
    assert (row.password_hash, row.first_used_at) == (HASH, NOW)
    assert "password_hash" not in write_row(USER, with_hash=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
KEYS = st.sampled_from(["row", "name", "password", "note", "enabled", "groups", "limits", "first_used_at"])


@given(st.lists(st.dictionaries(KEYS, JSON) | JSON, max_size=3))
def test_garbage_is_refused_or_rows(rows):
    try:
        read_rows(rows, GROUPS, NOW)
    except Invalid as error:
        error.message.encode()
