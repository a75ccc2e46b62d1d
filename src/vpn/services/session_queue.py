"""Sessions that ended and are not stored yet: in memory, and beyond that on disk.

A journal (vpn.proxy.journal) keeps what it was not told to be safe. While the store is away or slow it fills up; when
it is half full, what was read from it goes to the spill, and the journal is told. What waits in the spill of a journal
is stored before what was read from that journal later: so the store need know no more of it than one position.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from vpn.domain.session import Session
from vpn.proxy.journal import Journal
from vpn.services.session_spill import Block, SessionSpill

SPILL_AT = 0.5
"""How full a journal may be."""
LOSE_AT = 0.75
"""How full it may be if there is no room in the spill either."""


class SessionQueue:
    """What waits, and in which order it is stored.

    Args:
        spill: an open one.
        most: sessions that are stored at once.
    """

    def __init__(self, spill: SessionSpill, most: int) -> None:
        self._spill = spill
        self._most = most
        self._journals: dict[int, Journal] = {}
        self._waiting: dict[int, Block] = {}
        self._sending: deque[list[Block]] = deque()
        """What is being stored, or could not be: it is tried again as it is, since it may be stored after all."""
        self._from_spill = False
        self.positions: dict[int, int] = {}
        """How far journals were stored by an earlier daemon."""
        self.lost = 0
        """Sessions for which there was no room."""
        self.trouble = ""
        """Why there was none, the last time."""

    @property
    def waiting(self) -> int:
        """Sessions in memory."""
        sending = sum(len(block.sessions) for group in self._sending for block in group)
        return sending + sum(len(block.sessions) for block in self._waiting.values())

    def take(self, journal: Journal, sessions: list[Session]) -> None:
        """These have just been read from a journal."""
        if not sessions:
            return
        generation = journal.generation
        self._journals[generation] = journal
        waiting = self._waiting.setdefault(generation, Block(generation, [], []))
        waiting.ends += journal.ends
        waiting.sessions += sessions
        if journal.fullness > SPILL_AT:
            self._make_room(journal)

    def unstored(self, reached: Callable[[int], int]) -> Iterator[Session]:
        """The sessions in memory that are not stored; `reached` says how far a journal is."""
        groups = [*self._sending, list(self._waiting.values())]
        for block in (block for group in groups for block in group):
            if not self._spill.end(block.journal):  # those on disk come first, and there are many
                yield from block.after(reached(block.journal)).sessions

    def next(self) -> list[Block]:
        """What is to be stored next, in one transaction; empty: nothing waits.

        It is the same until `done` or `divide` is called.

        Raises:
            OSError: the spill cannot be read now.
        """
        if not self._sending:
            # By turns, so that what is old and what is new are not held up by each other.
            sources = (self._gather, self._reread) if self._from_spill else (self._reread, self._gather)
            blocks = sources[0]() or sources[1]()
            if not blocks:
                return []
            self._sending.append(blocks)
        return self._sending[0]

    def done(self) -> None:
        """What `next` gave is stored."""
        for block in self._sending.popleft():
            if block.journal in self._journals:
                self._journals[block.journal].take(block.end)
        if self._from_spill and not self._sending:
            self._spill.drop()

    def divide(self) -> bool:
        """Let `next` give less: half of what it gave. False: that was a single session."""
        blocks = self._sending[0]
        if len(blocks) > 1:
            halves = [blocks[: len(blocks) // 2], blocks[len(blocks) // 2 :]]
        elif len(blocks[0].sessions) > 1:
            halves = [[half] for half in blocks[0].split(len(blocks[0].sessions) // 2)]
        else:
            return False
        self._sending.popleft()
        self._sending.extendleft(reversed(halves))
        return True

    def _gather(self) -> list[Block]:
        """From memory."""
        blocks: list[Block] = []
        left = self._most
        for generation, waiting in list(self._waiting.items()):
            if left and not self._spill.end(generation):
                block, rest = waiting.split(left)
                if rest.sessions:
                    self._waiting[generation] = rest
                else:
                    del self._waiting[generation]
                blocks.append(block)
                left -= len(block.sessions)
        self._from_spill = self._from_spill and not blocks
        return blocks

    def _reread(self) -> list[Block]:
        """From the spill."""
        while block := self._spill.first():
            rest = block.after(self.positions.get(block.journal, 0))
            if rest.sessions:
                self._from_spill = True
                return [rest]
            self._spill.drop()
        return []

    def _make_room(self, journal: Journal) -> None:
        """Bring to disk what was read from a journal and is not stored."""
        generation = journal.generation
        sending = [block for group in self._sending for block in group if block.journal == generation]
        try:
            for block in sending:  # whether the store has it is not known: it is left out then when it is reread
                if block.end > journal.taken:
                    self._spill.append(block)
                    journal.take(block.end)
            while generation in self._waiting:
                block, rest = self._waiting[generation].split(self._most)
                self._spill.append(block)
                journal.take(block.end)
                self._waiting[generation] = rest
                if not rest.sessions:
                    del self._waiting[generation]
        except OSError as error:
            self.trouble = error.strerror or str(error)
            if journal.fullness > LOSE_AT:
                # What is being stored is in memory; what waits can be kept nowhere.
                self.lost += len(self._waiting.pop(generation).sessions)
                journal.take(journal.read_to)
