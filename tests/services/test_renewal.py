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
