import asyncio

import pytest

from vpn.domain.errors import Unavailable

pytestmark = pytest.mark.anyio


async def test_without_a_data_plane_nobody_is_told(snapshots):
    await snapshots.publish()


async def test_versions_count_up_and_snapshots_do_not_overtake_each_other(snapshots, users):
    await users.add("alice", "x")
    seen = []

    async def slow(snapshot):
        seen.append(("began", snapshot.version))
        await asyncio.sleep(0)
        seen.append(("done", snapshot.version))

    snapshots.publish_to(slow)
    await asyncio.gather(*(snapshots.publish() for _ in range(3)))
    assert seen == [(what, version) for version in (1, 2, 3) for what in ("began", "done")]


async def test_a_change_that_is_stored_is_told_even_if_the_store_is_away_for_a_moment(
    snapshots, users, store, monkeypatch
):
    monkeypatch.setattr("vpn.services.snapshots.RETRY", 0.01)
    told = asyncio.Event()

    async def publish(snapshot):
        if snapshot.users[0].blocked:
            told.set()

    snapshots.publish_to(publish)
    await users.add("alice", "x")
    read, failures = store.all, 2

    async def sometimes():
        nonlocal failures
        if failures:
            failures -= 1
            raise Unavailable("database_unreachable", "away", "wait")
        return await read()

    monkeypatch.setattr(store, "all", sometimes)
    with pytest.raises(Unavailable):
        await users.edit("alice", enabled=False)
    await asyncio.wait_for(told.wait(), 5)


async def test_a_snapshot_holds_no_hash(snapshots, users):
    user, _ = await users.add("alice", "x")
    snapshot = await snapshots.build()
    assert user.password_hash not in repr(snapshot)
    assert [(each.name, each.blocked) for each in snapshot.users] == [("alice", "")]
    assert not snapshot.egress.private_destinations
