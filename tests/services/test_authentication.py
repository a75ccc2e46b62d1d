import asyncio

import pytest

from vpn.services import authentication as module
from vpn.services.authentication import Authentication

pytestmark = pytest.mark.anyio


@pytest.fixture
def hashed(monkeypatch):
    """Counts the verifications that were really made."""
    calls = []

    def verify(password_hash, password):
        calls.append(password)
        return module_verify(password_hash, password)

    module_verify = module.verify_password
    monkeypatch.setattr(module, "verify_password", verify)
    return calls


@pytest.fixture
async def authentication(store):
    authentication = Authentication(store)
    yield authentication
    authentication.close()


async def test_right_wrong_unknown_and_disabled(authentication, users):
    user, _ = await users.add("alice", "s3cret")
    disabled, _ = await users.add("bob", "s3cret", enabled=False)
    assert await authentication.verify("alice", "s3cret") == (True, user.credential)
    assert await authentication.verify("ALICE", "s3cret") == (True, user.credential)
    assert await authentication.verify("alice", "wrong") == (False, user.credential)
    assert await authentication.verify("bob", "s3cret") == (False, disabled.credential)
    assert await authentication.verify("nobody", "s3cret") == (False, 0)


async def test_a_verdict_is_remembered_until_the_password_changes(authentication, users, hashed):
    await users.add("alice", "one")
    for _ in range(3):
        assert (await authentication.verify("alice", "one"))[0]
        assert not (await authentication.verify("alice", "two"))[0]
    assert hashed == ["one", "two"]
    await users.set_password("alice", "two")
    assert not (await authentication.verify("alice", "one"))[0]
    assert (await authentication.verify("alice", "two"))[0]


async def test_a_user_who_is_enabled_again_is_let_in_at_once(authentication, users):
    await users.add("alice", "one")
    await authentication.verify("alice", "one")
    await users.edit("alice", enabled=False)
    assert not (await authentication.verify("alice", "one"))[0]
    await users.edit("alice", enabled=True)
    assert (await authentication.verify("alice", "one"))[0]


async def test_the_same_question_at_the_same_time_is_one(authentication, users, hashed):
    await users.add("alice", "s3cret")
    answers = await asyncio.gather(*(authentication.verify("alice", "s3cret") for _ in range(50)))
    assert all(accepted for accepted, _ in answers)
    assert hashed == ["s3cret"]


async def test_an_unknown_name_costs_a_verification_too(authentication, hashed):
    await authentication.verify("nobody", "x")
    assert hashed == ["x"]


async def test_questions_under_way_are_bounded(authentication, users, monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    await users.add("alice", "s3cret")
    answers = await asyncio.gather(*(authentication.verify("alice", f"wrong{number}") for number in range(5)))
    assert answers.count((False, 0)) == 3
    assert (await authentication.verify("alice", "s3cret"))[0]
