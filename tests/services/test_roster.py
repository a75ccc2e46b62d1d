import asyncio
from datetime import UTC, datetime
from functools import partial

import pytest

from vpn.domain.errors import Conflict, Invalid, Unavailable
from vpn.domain.limits import Limits
from vpn.domain.password import hash_password, verify_password
from vpn.domain.user import Selection
from vpn.services import roster as roster_module
from vpn.services.roster import RosterService

pytestmark = pytest.mark.anyio
HASH = hash_password("hashed")


@pytest.fixture
def roster(store, group_store, snapshots):
    return RosterService(store, group_store, snapshots, partial(datetime.now, UTC))


@pytest.fixture
async def staffed(roster, groups, users):
    """The roster, with the group staff and the user alice in it."""
    await groups.add("staff")
    await users.add("alice", "old", note="n", groups=["staff"], limits={"down": 8000})
    return roster


async def test_everybody_is_added(staffed, users, published):
    done = await staffed.import_users(
        [
            {"name": "bob", "password": "s3cret", "groups": ["STAFF"], "limits": {"data_limit": "50GB"}},
            {"name": "carol", "password_hash": HASH, "enabled": False, "note": "n"},
            {"name": "dave"},
        ]
    )
    assert (done.added, done.updated, done.skipped) == (["bob", "carol", "dave"], [], [])
    assert list(done.passwords) == ["dave"]
    bob, carol, dave = [await users.get(name) for name in ("bob", "carol", "dave")]
    assert verify_password(bob.password_hash, "s3cret")
    assert verify_password(carol.password_hash, "hashed")
    assert verify_password(dave.password_hash, done.passwords["dave"])
    assert (bob.groups, bob.limits) == (("staff",), Limits(data_limit=50 * 10**9))
    assert (carol.enabled, carol.note, dave.enabled) == (False, "n", True)
    assert len({user.credential for user in (bob, carol, dave)}) == 3
    assert len(published) == 1
    assert set(published[0]) == {"alice", "bob", "carol", "dave"}


@pytest.mark.parametrize(
    ("rows", "error", "named"),
    [
        ([{"name": "bob"}, {"name": "x y"}, {"name": "z", "note": "\n"}], Invalid, ["row 2", "row 3"]),
        ([{"name": "bob"}, {"name": "carol", "groups": ["nothing"]}], Invalid, ["row 2"]),
        ([{"name": "bob"}, {"row": 9, "name": "ALICE"}], Conflict, ["row 9"]),
        ([{"name": "alice"}, {"name": "carol", "groups": "nothing"}], Invalid, ["row 2"]),
    ],
)
async def test_or_nobody_is(staffed, users, published, rows, error, named):
    with pytest.raises(error) as caught:
        await staffed.import_users(rows)
    assert [line.split(":")[0] for line in caught.value.message.splitlines()[1:]] == named
    assert [user.name for user in (await users.page(page=1, page_size=9))[0]] == ["alice"]
    assert published == []


async def test_a_rehearsal_changes_nothing(staffed, users, published):
    done = await staffed.import_users([{"name": "bob"}, {"name": "alice"}], on_conflict="skip", rehearse=True)
    assert done == (["bob"], [], ["alice"], {})
    assert (await users.page(page=1, page_size=9))[1] == 1
    assert published == []


async def test_who_is_there_is_skipped_or_updated(staffed, users):
    before = await users.get("alice")
    row = {"name": "ALICE", "note": "new", "limits": {"up": 9000}, "password": "new"}
    done = await staffed.import_users([row], on_conflict="skip")
    assert done.skipped == ["ALICE"]
    assert await users.get("alice") == before

    done = await staffed.import_users([row], on_conflict="update")
    assert done.updated == ["ALICE"]
    after = await users.get("alice")
    assert (after.name, after.number, after.note, after.groups) == ("alice", before.number, "new", ("staff",))
    assert after.limits == Limits(down=8000, up=9000)
    assert verify_password(after.password_hash, "new")
    assert after.credential != before.credential
    assert done.passwords == {}


async def test_what_is_exported_can_be_imported_elsewhere(staffed, users, groups):
    rows = await staffed.export_users(with_hashes=True)
    before = await users.get("alice")
    await staffed.import_users(rows, on_conflict="update")
    same = await users.get("alice")
    assert same.credential == before.credential, "the password is the same, and verdicts on it hold"
    await users.remove("alice")
    await staffed.import_users(rows)
    again = await users.get("alice")
    assert (again.password_hash, again.note, again.groups, again.limits) == (
        before.password_hash,
        before.note,
        before.groups,
        before.limits,
    )


async def test_no_hash_is_exported_unasked(staffed, users):
    await users.add("bob", "x")
    [row] = await staffed.export_users(Selection(group="staff"))
    assert row == {"name": "alice", "enabled": True, "note": "n", "groups": ["staff"], "limits": {"down": 8000}}
    assert len(await staffed.export_users()) == 2


async def test_hashing_ends_some_time(staffed, users, monkeypatch):
    monkeypatch.setattr(roster_module, "HASHING_TIME", 0.0)
    with pytest.raises(Unavailable) as caught:
        await staffed.import_users([{"name": f"user{number}"} for number in range(20)])
    assert caught.value.code == "too_many_passwords"
    assert (await users.page(page=1, page_size=9))[1] == 1


async def test_a_user_who_goes_in_the_middle_of_it(staffed, users, monkeypatch):
    """Removed between the rehearsal and the act: there is no password that he could come back with."""
    hashing, going = asyncio.Event(), asyncio.Event()
    hash_all = staffed._hash

    async def slow(passwords):
        hashing.set()
        await going.wait()
        return await hash_all(passwords)

    monkeypatch.setattr(staffed, "_hash", slow)
    task = asyncio.create_task(staffed.import_users([{"name": "alice"}, {"name": "bob"}], on_conflict="update"))
    await hashing.wait()
    await users.remove("alice")
    going.set()
    with pytest.raises(Conflict):
        await task
    assert (await users.page(page=1, page_size=9))[1] == 0
