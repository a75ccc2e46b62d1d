"""What the workers work from, made anew after every change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from vpn.proxy.control import Snapshot, SnapshotUser, Timeouts
from vpn.store.users import UserStore

Publish = Callable[[Snapshot], Awaitable[None]]


class Snapshots:
    """Builds snapshots and hands them to whoever serves.

    Without a data plane (the command line with no daemon running) there is nobody to tell.
    """

    def __init__(self, users: UserStore, timeouts: Timeouts, *, private_destinations: bool) -> None:
        self._users = users
        self._timeouts = timeouts
        self._private_destinations = private_destinations
        self._publish: Publish | None = None
        self._version = 0
        self._order = asyncio.Lock()

    def publish_to(self, publish: Publish) -> None:
        """Tell this one from now on."""
        self._publish = publish

    async def build(self) -> Snapshot:
        """The state of this moment."""
        self._version += 1
        return Snapshot(
            version=self._version,
            users=[SnapshotUser(*row) for row in await self._users.credentials()],
            timeouts=self._timeouts,
            private_destinations=self._private_destinations,
        )

    async def publish(self) -> None:
        """Tell of a change, and return when it is in force."""
        if self._publish is not None:
            async with self._order:  # a snapshot read earlier must not overtake one read later
                await self._publish(await self.build())
