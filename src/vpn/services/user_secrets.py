"""What protocols must know of users in clear. Everybody has a secret for Shadowsocks as soon as it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from vpn.domain.shadowsocks import make_secret
from vpn.store.sealed import SecretStore, owner_of

KIND = "shadowsocks"


class UserSecrets:
    """The users' secrets, of which those that were asked for are remembered.

    Workers get them while `needed` says so: while there is an inbound that speaks Shadowsocks.
    """

    def __init__(self, store: SecretStore) -> None:
        self._store = store
        self._known: dict[int, str] = {}
        self._order = asyncio.Lock()  # what was read before a change must not be remembered after it
        self.needed: Callable[[], bool] = lambda: False
        """Set by who knows the inbounds."""

    async def of(self, number: int) -> str:
        """The secret of a user.

        Raises:
            Unavailable: the store cannot be read.
        """
        return (await self.of_all([number]))[number]

    async def for_workers(self, numbers: Sequence[int]) -> dict[int, str]:
        """The secrets of all users that there are; none if no worker needs any."""
        async with self._order:
            self._known = await self._of_all(numbers) if self.needed() else {}
            return self._known

    async def of_all(self, numbers: Sequence[int]) -> dict[int, str]:
        """The secrets of these users; who has none gets one."""
        async with self._order:
            return await self._of_all(numbers)

    async def _of_all(self, numbers: Sequence[int]) -> dict[int, str]:
        missing = {owner_of(number): number for number in numbers if number not in self._known}
        if missing:
            found = await self._store.ensure(KIND, list(missing), make_secret)
            self._known |= {missing[owner]: secret for owner, secret in found.items()}
        return {number: self._known[number] for number in numbers}

    async def put(self, number: int, secret: str) -> None:
        """Give a user this secret. It is in force with the next snapshot.

        Raises:
            Conflict: somebody else has it.
        """
        async with self._order:
            await self._store.put(owner_of(number), KIND, secret)
            self._known[number] = secret

    async def renew(self, number: int) -> None:
        """Give a user another secret. It is in force with the next snapshot."""
        await self.put(number, make_secret())
