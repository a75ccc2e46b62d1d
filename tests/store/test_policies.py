from datetime import UTC, datetime

import pytest

from vpn.domain.errors import Conflict, NotFound
from vpn.domain.policy import ALLOW_ALL, GroupRules, Policy, Rule
from vpn.store.policies import NOTHING_SAID, PolicyStore, digest_of

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
POLICY = Policy(groups={"staff": GroupRules((Rule(action="allow", description="für alle 🦑"),))})


@pytest.fixture
def store(database):
    return PolicyStore(database)


async def add(store, after, policy=POLICY, comment=""):
    return await store.add(after, policy, author="me", comment=comment, now=NOW)


async def test_until_somebody_says_something_everything_is_allowed(store):
    assert await store.newest() == NOTHING_SAID == await store.get(0)
    assert NOTHING_SAID.policy == ALLOW_ALL
    assert await store.page(offset=0, limit=10) == ([], 0)


async def test_versions_are_counted_and_kept(store):
    first = await add(store, 0, comment="first")
    second = await add(store, 1, ALLOW_ALL)
    assert (first.number, first.author, first.comment, first.created_at) == (1, "me", "first", NOW)
    assert await store.newest() == second
    assert await store.get(1) == first
    assert (await store.get(1)).policy == POLICY
    outlines, total = await store.page(offset=0, limit=1)
    assert ([each.number for each in outlines], total) == ([2], 2)
    assert [each.number for each in (await store.page(offset=1, limit=10))[0]] == [1]


async def test_of_two_at_once_one_is_told_that_it_came_too_late(store):
    await add(store, 0)
    with pytest.raises(Conflict) as caught:
        await add(store, 0, ALLOW_ALL)
    assert caught.value.code == "policy_changed"
    assert (await store.newest()).policy == POLICY


async def test_a_version_that_is_not_there(store):
    with pytest.raises(NotFound, match="no version 7"):
        await store.get(7)


def test_equal_policies_have_one_digest():
    assert digest_of(POLICY) == digest_of(Policy(groups=dict(POLICY.groups)))
    assert digest_of(POLICY) != digest_of(ALLOW_ALL)
