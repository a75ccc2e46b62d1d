import pytest

from vpn.services.renewal import Renewal
from vpn.services.user_secrets import UserSecrets

pytestmark = pytest.mark.anyio


class Sessions:
    def __init__(self, published):
        self.published = published
        self.closed = []

    async def close(self, reason, *, user, protocol):
        self.closed.append((reason, user, protocol, len(self.published)))


async def test_nobody_comes_by_the_old_key_before_who_came_by_it_is_cut(users, published, snapshots, secrets):
    user = (await users.add("Alice", "x")).user
    user_secrets = UserSecrets(secrets)
    before = await user_secrets.of(user.number)
    told = len(published)
    sessions = Sessions(published)
    await Renewal(user_secrets, snapshots, sessions).renew(user)
    assert sessions.closed == [("key_renewed", "Alice", "shadowsocks", told + 1)]
    after = await user_secrets.of(user.number)
    assert after != before
    assert await UserSecrets(secrets).of(user.number) == after
