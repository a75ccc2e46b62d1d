"""Is this the user's password? Asked by the workers, answered here, where the hashes are.

Verifying runs in threads, so the daemon goes on; what was verified is remembered for some minutes, and
clients that come together with the same password share one verification.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from vpn.domain.errors import Invalid, NotFound
from vpn.domain.password import hash_password, verify_password
from vpn.domain.remembered import Remembered
from vpn.domain.user import User, check_name
from vpn.store.users import UserStore

THREADS = 2
MOST_WAITING = 256  # verifications under way; beyond that the answer is no


class Authentication:
    """Verifies passwords. Close it to end its threads."""

    def __init__(self, users: UserStore) -> None:
        self._users = users
        self._remembered = Remembered(secrets.token_bytes(32))
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="verify")
        self._under_way: dict[tuple[str, str], asyncio.Task[tuple[bool, int]]] = {}

    async def verify(self, name: str, password: str) -> tuple[bool, int]:
        """Whether this is the user's password, and the credential number that the answer holds for.

        Whether the user is enabled is another question, and not asked here: workers know it, and it changes
        while answers are remembered. The number is 0 where nobody bears the name; finding that out takes as
        long as a wrong password.
        """
        key = (name, password)
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= MOST_WAITING:
                return False, 0
            task = asyncio.create_task(self._verify(name, password))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key))
        return await asyncio.shield(task)

    def close(self) -> None:
        """Take no more questions."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _verify(self, name: str, password: str) -> tuple[bool, int]:
        user = await self._find(name)
        credential = user.credential if user is not None else 0
        accepted = self._remembered.recall(name, password, credential, time.monotonic())
        if accepted is None:
            known_hash = user.password_hash if user is not None else self._nobodys_hash
            loop = asyncio.get_running_loop()
            accepted = await loop.run_in_executor(self._threads, verify_password, known_hash, password)
            accepted = accepted and user is not None
            self._remembered.remember(name, password, credential, accepted, time.monotonic())
        return accepted, credential

    async def _find(self, name: str) -> User | None:
        try:
            return await self._users.get(check_name(name))
        except (Invalid, NotFound):
            return None

    @cached_property
    def _nobodys_hash(self) -> str:
        return hash_password(secrets.token_hex())
