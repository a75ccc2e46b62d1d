"""Each session that ended reaches the store once, in whatever order things fail."""

import os
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from vpn.domain.session import Session
from vpn.proxy.journal import Journal, Recorder
from vpn.services.session_files import Leftovers, begin_journal
from vpn.services.session_queue import SessionQueue
from vpn.services.session_spill import SessionSpill

RING = 8192


class Killed(Exception):
    """The daemon was killed at this moment."""


class World:
    """What outlives a daemon: files, a worker's journal, and a store, as vpn.store.sessions describes it."""

    def __init__(self, directory):
        self.directory = directory
        self.rows = Counter()
        self.positions = {}
        self.number = 0
        self.begin()

    def store(self, blocks):
        for block in blocks:
            if self.positions.get(block.journal, 0) < block.end:
                self.rows.update(session.id for session in block.sessions)
                self.positions[block.journal] = block.end

    def begin(self):
        """A daemon starts, as vpn.services.session_writer does it."""
        self.spill = SessionSpill(self.directory, 10**9)
        self.spill.open()
        leftovers = Leftovers(self.directory, self.spill)
        leftovers.gather(1.6e9)
        fd = begin_journal(self.directory, 0, RING, leftovers.latest)
        self.journal = Journal(fd)
        os.close(fd)
        self.recorder = Recorder(self.journal)
        self.queue = SessionQueue(self.spill, 4)
        for journal in leftovers.journals | self.spill.journals():
            self.queue.positions[journal] = self.positions.get(journal, 0)

    def end(self, count):
        """Sessions end, and the daemon hears of it."""
        for _ in range(count):
            self.number += 1
            self.recorder.record(Session(self.number, "main", "192.0.2.1", 1, 1.0, host="x" * 100))
        while self.journal.read_to < self.recorder.settle():
            self.queue.take(self.journal, self.journal.read(self.journal.written))

    def write(self, fate):
        """The store is given something."""
        blocks = self.queue.next()
        if not blocks:
            return
        if fate not in ("not reached", "refused"):
            self.store(blocks)
        if fate == "killed":
            raise Killed
        if fate in ("divided", "refused"):
            self.queue.divide()
        elif fate == "stored":
            self.queue.done()

    def hang(self):
        """More sessions end than there is room for; the daemon hears of none of them and is killed, the worker ends."""
        for _ in range(100):
            self.number += 1
            self.recorder.record(Session(self.number, "main", "192.0.2.1", 1, 1.0, host="x" * 100))
        (path,) = self.directory.glob("*.journal")
        fd = os.open(path, os.O_RDWR)
        self.recorder._file = fd
        self.recorder.leave_behind()
        os.close(fd)
        raise Killed

    def kill_while_spilling(self):
        """What is put on disk is there, and the journal has not been told."""
        append = self.spill.append

        def killed(block, *, bounded=True):
            append(block, bounded=bounded)
            raise Killed

        self.spill.append = killed
        while self.journal.read_to < self.recorder.settle() or self.journal.fullness < 1:
            self.end(3)


FATES = st.sampled_from(["stored", "stored", "stored, unheard", "not reached", "divided", "refused", "killed"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("end"), st.integers(1, 40)),
        st.tuples(st.just("write"), FATES),
        st.tuples(st.just("kill while spilling"), st.none()),
        st.tuples(st.just("kill"), st.none()),
        st.tuples(st.just("hang"), st.none()),
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=150)
def test_each_session_is_stored_once(steps):
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        for step, detail in steps:
            try:
                if step == "end":
                    world.end(detail)
                elif step == "write":
                    world.write(detail)
                elif step == "kill":
                    raise Killed
                elif step == "hang":
                    world.hang()
                else:
                    world.kill_while_spilling()
            except Killed:
                world.spill.close()
                world.begin()
        while world.queue.next():
            world.write("stored")
        assert world.journal.taken == world.journal.written
        assert world.rows == Counter(range(1, world.number + 1))
        world.spill.close()
