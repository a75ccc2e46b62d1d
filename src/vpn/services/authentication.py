"""Is this the user's password? Asked by the workers, answered here, where the hashes are.

Verifying takes tens of milliseconds of a core, so a storm of guesses could keep everybody out. What is done
against that:

- What was verified is remembered for some minutes, and clients that come together with the same password
  share one verification.
- Who is banned is answered at once. Who has failed often waits before anything is done; only so many may.
- The others take turns: first whoever, address or name, has the fewest failures and the fewest questions under
  way; of those who stand alike, first where the user is known, then who was turned away before. So a storm queues
  behind everybody else, and one thread is kept free of it.
- The threads stand back behind the data plane when the processor is busy.

Who is turned away because too many wait is told no, as with a wrong password, and it is not counted.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property

from vpn.domain.bans import Subject, source_subject, user_subject
from vpn.domain.errors import Invalid, NotFound
from vpn.domain.password import hash_password, verify_password
from vpn.domain.remembered import Remembered
from vpn.domain.user import User, check_name
from vpn.services.bans import BanService
from vpn.services.turns import Standing, Ticket, Turns
from vpn.store.users import UserStore

THREADS = 2
RESERVED = 1  # of these, for whom has not failed of late
MOST_WAITING = 256  # verifications that wait for a thread
MOST_OWED = 4096  # addresses that were turned away and go first the next time; the oldest goes first
MOST_SLOWED = 256  # clients that wait because they have failed often
NICENESS = 5  # added to the threads': with all cores busy they get about a third of what the data plane gets

FAMILIAR, OWED, STRANGE = range(3)

_NO = False, 0


class _Question:
    """A user and a password, for all who ask about them at the moment."""

    __slots__ = ("answer", "standing", "ticket")

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.ticket: Ticket | None = None
        self.answer: asyncio.Task[tuple[bool, int] | None]

    def raise_to(self, standing: Standing) -> None:
        """Somebody else asks as well, who may stand better."""
        self.standing = min(self.standing, standing)
        if self.ticket is not None:
            self.ticket.standing = self.standing


class Authentication:
    """Verifies passwords. Close it to end its threads."""

    def __init__(self, users: UserStore, bans: BanService) -> None:
        self._users = users
        self._bans = bans
        self._remembered = Remembered(secrets.token_bytes(32))
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="verify", initializer=_stand_back)
        self._turns = Turns(THREADS, reserved=RESERVED, most=MOST_WAITING)
        self._under_way: dict[tuple[str, str], _Question] = {}
        self._asking: Counter[Subject] = Counter()
        self._owed: dict[str, None] = {}
        self._slowed = 0

    async def verify(self, name: str, password: str, host: str) -> tuple[bool, int]:
        """Whether this is the user's password, and the credential number that the answer holds for.

        Whether the user is enabled is another question, and not asked here: workers know it, and it changes
        while answers are remembered. The number is 0 where nobody bears the name; finding that out takes as
        long as a wrong password. It is 0, too, where nothing was verified.

        Args:
            host: the address that the client comes from.
        """
        if self._bans.refuses(host, name) or not await self._wait(self._bans.delay(host, name)):
            return _NO
        with self._asks(host, name) as standing:
            answer = await self._ask(name, password, standing)
        if answer is None:
            self._owe(source_subject(host))
            return _NO
        if self._bans.refuses(host, name):  # banned meanwhile: guesses that were under way tell nothing
            return _NO
        self._owed.pop(source_subject(host), None)
        if answer[0]:
            self._bans.succeeded(host, name)
        else:
            self._bans.failed(host, name)
        return answer

    def close(self) -> None:
        """Take no more questions."""
        for question in self._under_way.values():
            question.answer.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _wait(self, seconds: float) -> bool:
        """Keep a client waiting; False if too many wait already."""
        if not seconds:
            return True
        if self._slowed >= MOST_SLOWED:
            return False
        self._slowed += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self._slowed -= 1
        return True

    @contextmanager
    def _asks(self, host: str, name: str) -> Iterator[Standing]:
        """Count a question, and tell how it stands."""
        source = source_subject(host)
        subjects: list[Subject] = [("source", source)]
        opinion = FAMILIAR
        if not self._bans.familiar(host, name):
            subjects.append(("user", user_subject(name)))
            opinion = OWED if source in self._owed else STRANGE
        worst = max(self._bans.failures(*subject) + self._asking[subject] for subject in subjects)
        self._asking.update(subjects)
        try:
            yield worst, opinion
        finally:
            for subject in subjects:
                self._asking[subject] -= 1
                if not self._asking[subject]:
                    del self._asking[subject]

    def _owe(self, source: str) -> None:
        """A source was turned away without an answer; a storm that comes from others each time has nothing of it."""
        self._owed.pop(source, None)
        if len(self._owed) >= MOST_OWED:
            del self._owed[next(iter(self._owed))]
        self._owed[source] = None

    async def _ask(self, name: str, password: str, standing: Standing) -> tuple[bool, int] | None:
        """The answer, shared with others who ask the same; None: too many wait."""
        key = (name, password)
        question = self._under_way.get(key)
        if question is None:
            question = self._under_way[key] = _Question(standing)
            question.answer = asyncio.create_task(self._answer(name, password, question))
            question.answer.add_done_callback(lambda _: self._under_way.pop(key))
        else:
            question.raise_to(standing)
        return await asyncio.shield(question.answer)

    async def _answer(self, name: str, password: str, question: _Question) -> tuple[bool, int] | None:
        user = await self._find(name)
        credential = user.credential if user is not None else 0
        accepted = self._remembered.recall(name, password, credential, time.monotonic())
        if accepted is None:
            question.ticket = self._turns.ask(question.standing)
            if not await question.ticket.turn:
                return None
            try:
                loop = asyncio.get_running_loop()
                accepted = await loop.run_in_executor(self._threads, self._compare, user, password)
            finally:
                self._turns.give()
            self._remembered.remember(name, password, credential, accepted, time.monotonic())
        return accepted, credential

    def _compare(self, user: User | None, password: str) -> bool:
        """In a thread: where nobody bears the name, the answer is no and takes as long."""
        known_hash = user.password_hash if user is not None else self._nobodys_hash
        return verify_password(known_hash, password) and user is not None

    async def _find(self, name: str) -> User | None:
        try:
            return await self._users.get(check_name(name))
        except (Invalid, NotFound):
            return None

    @cached_property
    def _nobodys_hash(self) -> str:
        return hash_password(secrets.token_hex())


def _stand_back() -> None:
    """In a thread of ours: give way to the data plane. Linux knows a priority for each thread."""
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + NICENESS, 19))
