"""What users have used, told and forgiven."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from vpn.domain.quota import THE_BEGINNING
from vpn.domain.user import User
from vpn.services.enforcement import Enforcement, Standing
from vpn.services.snapshots import Snapshots
from vpn.store.usage import Day, UsageStore
from vpn.store.users import UserStore


class Usage(NamedTuple):
    """A user, how the user stands, and the days on which anything was moved."""

    user: User
    standing: Standing
    days: list[Day]


class Present(NamedTuple):
    """How a user stands, and the bytes of the present period."""

    standing: Standing
    up: int
    down: int


class UsageService:
    """Tells what users have used. Numbers are at most a second behind where they come from the store."""

    def __init__(self, users: UserStore, usage: UsageStore, enforcement: Enforcement, snapshots: Snapshots) -> None:
        self._users = users
        self._usage = usage
        self._enforcement = enforcement
        self._snapshots = snapshots

    async def report(self, name: str, days: int) -> Usage:
        """How a user stands, with so many days up to today.

        Raises:
            NotFound: nobody bears the name.
        """
        user = await self._users.get(name)
        standing = await self._enforcement.standing(user.number)
        first = standing.today - timedelta(days=days - 1)
        return Usage(user, standing, await self._usage.days(user.number, first))

    async def present(self, user: User) -> Present:
        """How a user stands, and what was moved in the present period in each direction.

        Raises:
            Unavailable: the store cannot be read.
        """
        standing = await self._enforcement.standing(user.number)
        days = await self._usage.days(user.number, standing.since.date() if standing.since else THE_BEGINNING)
        up, down = sum(each.up for each in days), sum(each.down for each in days)
        # The days are a second behind, and know of nothing that was forgiven: what they tell is the proportion.
        up = round(standing.used * up / (up + down)) if up + down else 0
        return Present(standing, up, standing.used - up)

    async def reset(self, name: str) -> Usage:
        """Count the user's present period from nothing; who was over the quota may connect again at once.

        Raises:
            NotFound: nobody bears the name.
        """
        user = await self._users.get(name)
        await self._enforcement.forgive(user.number)
        await self._snapshots.publish()
        return await self.report(name, 1)
