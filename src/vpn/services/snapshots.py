"""What the workers work from, made anew after every change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from vpn.domain.egress import Egress
from vpn.domain.errors import Unavailable
from vpn.proxy.control import Snapshot, SnapshotUser

RETRY = 1.0  # seconds until a change that could not be told is told again

Arrange = Callable[[], Awaitable[list[SnapshotUser]]]
Publish = Callable[[Snapshot], Awaitable[None]]


class Snapshots:
    """Builds snapshots and hands them to whoever serves.

    Args:
        arrange: says what workers are to know of the users as they are now.
        egress: how connections go out.

    Without a data plane (the command line with no daemon running) there is nobody to tell.
    """

    def __init__(self, arrange: Arrange, egress: Egress) -> None:
        self._arrange = arrange
        self.egress = egress
        """How connections go out; a change is in force with the next `publish`."""
        self._publish: Publish | None = None
        self._version = 0
        self._order = asyncio.Lock()
        self._retry: asyncio.Task[None] | None = None

    def publish_to(self, publish: Publish) -> None:
        """Tell this one from now on."""
        self._publish = publish

    async def build(self) -> Snapshot:
        """The state of this moment."""
        self._version += 1
        return Snapshot(
            version=self._version,
            users=await self._arrange(),
            egress=self.egress,
        )

    async def publish(self) -> None:
        """Tell of a change, and return when it is in force.

        Raises:
            Unavailable: the store cannot be read. The change is stored, so telling is tried again until it
                succeeds: who was removed must not stay connected because of a hiccup.
        """
        if self._publish is None:
            return
        try:
            await self._tell(self._publish)
        except Unavailable:
            if self._retry is None or self._retry.done():
                self._retry = asyncio.create_task(self._tell_until_told(self._publish))
            raise

    async def _tell(self, publish: Publish) -> None:
        async with self._order:  # a snapshot read earlier must not overtake one read later
            await publish(await self.build())

    async def _tell_until_told(self, publish: Publish) -> None:
        while True:
            await asyncio.sleep(RETRY)
            with contextlib.suppress(Unavailable):
                await self._tell(publish)
                return
