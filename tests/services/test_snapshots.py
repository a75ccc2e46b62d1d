import asyncio

import pytest

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


async def test_a_snapshot_holds_no_hash(snapshots, users):
    user, _ = await users.add("alice", "x")
    snapshot = await snapshots.build()
    assert user.password_hash not in repr(snapshot)
    assert [(each.name, each.enabled) for each in snapshot.users] == [("alice", True)]
    assert not snapshot.private_destinations
