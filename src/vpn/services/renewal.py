"""Giving users other keys, so that links that got lost are worth nothing."""

from __future__ import annotations

from vpn.domain.user import User
from vpn.services.snapshots import Snapshots
from vpn.services.user_secrets import UserSecrets


class Renewal:
    """Renews users' secrets for Shadowsocks."""

    def __init__(self, secrets: UserSecrets, snapshots: Snapshots) -> None:
        self._secrets = secrets
        self._snapshots = snapshots

    async def renew(self, user: User) -> None:
        """Give a user another secret. When this returns, nobody comes by the old one, and who had is cut.

        Raises:
            Unavailable: the store cannot be written, and nothing has changed; or it is not in force yet.
        """
        await self._secrets.renew(user.number)
        await self._snapshots.publish()
