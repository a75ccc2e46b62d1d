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


async def test_right_wrong_and_unknown(authentication, users):
    user, _ = await users.add("alice", "s3cret")
    assert await authentication.verify("alice", "s3cret") == (True, user.credential)
    assert await authentication.verify("ALICE", "s3cret") == (True, user.credential)
    assert await authentication.verify("alice", "wrong") == (False, user.credential)
    for name in ("nobody", "", "a\0b", "x" * 255):
        assert await authentication.verify(name, "s3cret") == (False, 0)


async def test_a_verdict_is_remembered_until_the_password_changes(authentication, users, hashed):
    await users.add("alice", "one")
    for _ in range(3):
        assert (await authentication.verify("alice", "one"))[0]
        assert not (await authentication.verify("alice", "two"))[0]
    assert hashed == ["one", "two"]
    await users.set_password("alice", "two")
    assert not (await authentication.verify("alice", "one"))[0]
    assert (await authentication.verify("alice", "two"))[0]


async def test_that_a_user_is_disabled_is_no_verdict_on_the_password(authentication, users):
    """Workers know who is enabled; a verdict is remembered, and must not outlive that."""
    await users.add("alice", "one", enabled=False)
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
