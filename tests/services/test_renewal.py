import asyncio

import pytest

from vpn.services.renewal import Renewal
from vpn.services.user_secrets import UserSecrets

pytestmark = pytest.mark.anyio


async def test_another_key_is_kept_and_told(users, published, snapshots, secrets):
    user = (await users.add("Alice", "x")).user
    user_secrets = UserSecrets(secrets)
    before = await user_secrets.of(user.number)
    told = len(published)
    await Renewal(user_secrets, snapshots).renew(user)
    assert len(published) == told + 1
    after = await user_secrets.of(user.number)
    assert after != before
    assert await UserSecrets(secrets).of(user.number) == after


async def test_a_key_that_is_renewed_while_all_are_read_is_the_new_one(users, secrets, monkeypatch):
    user = (await users.add("Alice", "x")).user
    before = await UserSecrets(secrets).of(user.number)
    read, go_on = asyncio.Event(), asyncio.Event()
    ensure = secrets.ensure

    async def slow(*arguments):
        found = await ensure(*arguments)
        read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(secrets, "ensure", slow)
    user_secrets = UserSecrets(secrets)
    user_secrets.needed = lambda: True
    telling = asyncio.create_task(user_secrets.for_workers([user.number]))
    await read.wait()
    renewing = asyncio.create_task(user_secrets.renew(user.number))
    await asyncio.wait([renewing], timeout=0.05)
    go_on.set()
    await asyncio.gather(telling, renewing)
    [after] = (await user_secrets.for_workers([user.number])).values()
    assert after != before
    assert await UserSecrets(secrets).of(user.number) == after


async def test_a_user_is_asked_for_while_keys_are_needed_no_longer(users, secrets, monkeypatch):
    known, new = [(await users.add(name, "x")).user.number for name in ("Alice", "Bob")]
    user_secrets = UserSecrets(secrets)
    await user_secrets.of(known)
    ensure = secrets.ensure

    async def forgetful(*arguments):
        forgetting = asyncio.create_task(user_secrets.for_workers([known, new]))
        await asyncio.wait([forgetting], timeout=0.05)
        return await ensure(*arguments)

    monkeypatch.setattr(secrets, "ensure", forgetful)
    assert sorted(await user_secrets.of_all([known, new])) == [known, new]
