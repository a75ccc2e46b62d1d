import asyncio
import os
import resource

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from tests.support.history import every_session
from vpn.domain.errors import Unavailable
from vpn.domain.session import Session
from vpn.proxy.control import Report
from vpn.proxy.journal import RING, TAKEN, Journal, Recorder
from vpn.services import session_writer
from vpn.services.live_sessions import LiveSessions
from vpn.services.session_writer import SessionWriter
from vpn.settings.sessions import SessionSettings
from vpn.store.sessions import SessionStore

pytestmark = pytest.mark.anyio
SMALL = 64 * 1024


def session(number, **fields):
    return Session(number, "main", "192.0.2.1", 4711, 1.0, **{"status": "closed", "ended": 2.0} | fields)


class Store(SessionStore):
    """The real one, which can be away, hang, or refuse a session; and counts what it is given."""

    def __init__(self, database):
        super().__init__(database)
        self.away = False
        self.deaf = False
        """It does what it is told, and is away before it says so."""
        self.hanging = asyncio.Event()
        self.hanging.set()
        self.refused = set()
        self.calls = []

    async def write(self, batches):
        await self.hanging.wait()
        self.calls.append([each.id for batch in batches for each in batch.sessions])
        if self.away:
            raise Unavailable("database_unreachable", "it is away", "wait")
        if self.refused & set(self.calls[-1]):
            raise Unavailable("database_failed", "a value is out of range", "")
        await super().write(batches)
        if self.deaf:
            raise Unavailable("database_unreachable", "it went away", "wait")

    async def close_active(self, reason, now):
        self.calls.append(reason)
        await super().close_active(reason, now)


class House:
    """A writer, the journal of its one worker, and what becomes of them."""

    def __init__(self, directory, database, **settings):
        self.directory = directory
        self.database = database
        self.store = Store(database)
        self.settings = SessionSettings(**{"journal_size": SMALL, "batch_size": 10} | settings)
        self.number = 0

    async def begin(self, store=None):
        self.store = store or Store(self.database)
        self.live = LiveSessions()
        self.writer = SessionWriter(self.directory, self.store, self.live, self.settings, lambda: 1.6e9)
        (fd,) = await self.writer.open(1)
        self.journal = Journal(fd)
        os.close(fd)
        self.recorder = Recorder(self.journal)

    def record(self, count, **fields):
        """So many sessions end, of which the daemon does not hear."""
        for _ in range(count):
            self.number += 1
            self.recorder.record(session(self.number, host="x" * 200, **fields))

    def end(self, count=1, **fields):
        self.record(count, **fields)
        self.writer.take(self.journal, self.journal.read(self.recorder.settle()))

    def files(self, kind):
        return list(self.directory.glob(f"*.{kind}"))

    async def stored(self):
        async with self.database.begin() as connection:
            segments = (await connection.execute(text("SELECT number FROM session_segments"))).scalars()
            query = text(f"SELECT id FROM {every_session(segments)} WHERE status <> 'active' ORDER BY id")
            return list((await connection.execute(query)).scalars())

    async def has_everything(self):
        await self.writer.flush()
        return await self.stored() == list(range(1, self.number + 1))


@pytest.fixture
async def house(tmp_path, database):
    house = House(tmp_path / "sessions", database)
    await house.begin()
    return house


async def test_what_is_taken_is_stored_and_the_journal_told(house):
    house.end(user="alice")
    assert house.journal.taken == 0
    await house.writer.flush()
    assert house.journal.taken == house.journal.written
    assert (await house.store.get(1)).user == "alice"


async def test_batches_have_a_size(house):
    house.end(25)
    await house.writer.flush()
    assert list(map(len, house.store.calls[1:])) == [10, 10, 5]
    state = house.writer.state
    assert (state.written, state.batches, state.waiting, state.failing) == (25, 3, 0, False)
    assert state.total_seconds >= state.last_seconds > 0


async def test_what_a_killed_daemon_left_is_stored_once(house):
    house.end(3)
    await house.writer.flush()
    house.journal.cells[TAKEN] = 0  # it was killed between the two
    house.record(2)
    await house.begin()
    assert house.store.calls == [[4, 5], "daemon_died"], "what was stored is left out, and rows are closed then"
    assert await house.has_everything()
    assert [path.suffix for path in house.directory.iterdir()] == [".journal"]


async def test_killed_between_disk_and_journal(house):
    await fill(house)
    house.journal.cells[TAKEN] = 0
    await house.begin()
    assert await house.has_everything()
    given = [number for call in house.store.calls if call != "daemon_died" for number in call]
    assert sorted(given) == list(range(1, house.number + 1)), "each once"


async def fill(house):
    """The store is away, and more ends than the journal holds."""
    house.store.away = True
    house.end()
    with pytest.raises(Unavailable):
        await house.writer.flush()
    while house.writer.state.spilled < 300:
        house.end(50)


async def test_while_the_store_is_away_sessions_go_to_disk_and_are_stored_later(house):
    await fill(house)
    house.end(5)
    state = house.writer.state
    assert state.failing
    assert state.spilled_bytes == sum(path.stat().st_size for path in house.files("spill"))
    house.store.away = False
    assert await house.has_everything()
    state = house.writer.state
    assert (state.waiting, state.spilled, state.lost, state.failing) == (0, 0, 0, False)
    assert not house.files("spill")


async def test_a_batch_that_was_stored_though_it_seemed_not_is_there_once(house):
    house.store.deaf = True
    house.end(10)
    with pytest.raises(Unavailable):
        await house.writer.flush()
    while not house.writer.state.spilled:
        house.end(50)
    house.store.deaf = False
    assert await house.has_everything()


async def test_a_store_that_hangs_holds_up_nobody(house):
    house.store.hanging.clear()
    running = asyncio.create_task(house.writer.run())
    house.end(10)
    while house.writer._asking is None or house.writer._asking.done():  # noqa: ASYNC110 -- one turn or two
        await asyncio.sleep(0)
    while not house.writer.state.spilled:
        house.end(50)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    house.store.hanging.set()
    await house.writer.close()
    assert await house.stored() == list(range(1, house.number + 1))


async def test_the_end_does_not_wait_for_a_store_for_ever_and_the_next_start_has_everything(house, monkeypatch):
    monkeypatch.setattr(session_writer, "PATIENCE", 0.05)
    await fill(house)
    house.store.hanging.clear()
    house.end(5)
    with capture_logs() as lines:
        await house.writer.close()
    (line,) = [line for line in lines if line["event"] == "sessions are left for the next start"]
    assert line["sessions"] >= house.number
    await house.begin()
    assert await house.has_everything()


async def test_a_start_does_not_wait_for_all_that_was_left_and_rows_are_closed_after_it(house, monkeypatch):
    await house.store.checkpoint([session(10**6, status="active", ended=0.0)])
    await fill(house)
    monkeypatch.setattr(session_writer, "PROMPT", 0.0)
    await house.begin()
    assert house.writer.state.spilled > 200
    assert (await house.store.get(10**6)).status == "active"
    await house.writer.flush()
    assert house.store.calls[-1] == "daemon_died"
    assert (await house.store.get(10**6)).reason == "daemon_died"
    async with house.database.begin() as connection:
        rows = await connection.execute(text("SELECT journal FROM journals"))
        assert house.journal.generation not in [row.journal for row in rows], "and the old ones are forgotten"


async def test_a_session_that_the_store_refuses_does_not_stop_the_others(house):
    house.store.refused = {4, 17}
    house.end(25)
    with capture_logs() as lines:
        await house.writer.flush()
    assert await house.stored() == [number for number in range(1, 26) if number not in (4, 17)]
    assert [line["session"] for line in lines] == ["0000000000000004", "0000000000000011"]
    assert house.writer.state.lost == 2
    assert house.journal.taken == house.journal.written


async def test_a_store_that_refuses_everything_loses_nothing(house, monkeypatch):
    async def refuse(batches):
        raise Unavailable("database_failed", "read only", "")

    house.end(25)
    with monkeypatch.context() as patch:
        patch.setattr(house.store, "write", refuse)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await house.writer.flush()
    assert await house.has_everything()
    assert house.writer.state.lost == 0


async def test_a_defect_in_the_store_neither_stops_a_start_nor_what_comes_after(house, monkeypatch):
    async def break_down(self, batches):
        raise RuntimeError("a defect")

    house.record(5)
    with monkeypatch.context() as patch, capture_logs() as lines:
        patch.setattr(Store, "write", break_down)
        await house.begin()
        house.end(5)
        await house.writer.close()
    assert [line["event"] for line in lines] == [
        "defect while storing sessions",
        "sessions are left for the next start",
    ]
    assert await house.has_everything()


async def test_what_is_lost_is_told_now_and_then_with_how_many(tmp_path, database):
    house = House(tmp_path / "sessions", database, spill_size=0)
    await house.begin()
    house.store.away = True
    with capture_logs() as lines:
        while not house.writer.state.lost:
            house.end(20)
        for _ in range(10):
            house.end(100)
        assert len(lines) == 1
        await house.writer.close()
    told = [line["sessions"] for line in lines if line["event"] == "sessions are lost"]
    assert sum(told) == house.writer.state.lost > 300
    assert lines[0]["log_level"] == "error"


@pytest.mark.parametrize("content", [b"", b"short", b"nonsense" * 10_000])
async def test_a_journal_of_something_else_does_not_stop_the_start(house, content):
    path = house.directory / "0000000000000001.journal"
    path.write_bytes(content)
    house.record(2)
    with capture_logs() as lines:
        await house.begin()
    assert path.with_suffix(".damaged").read_bytes() == content
    assert [line["event"] for line in lines] == ["a journal of sessions is damaged: some are lost"]
    assert await house.has_everything()


async def test_of_a_damaged_journal_what_is_whole_is_stored(house):
    house.record(3)
    house.journal.read(house.journal.written)
    start = house.journal.ends[1]
    house.journal.ring[start + 4 : start + 20] = b"\xc1" * 16
    await house.begin()
    assert await house.stored() == [1, 2]
    assert len(house.files("damaged")) == 1


async def test_where_there_is_no_place_for_journals(tmp_path, database):
    (tmp_path / "file").write_text("")
    house = House(tmp_path / "file" / "sessions", database)
    with pytest.raises(Unavailable, match="Not a directory"):
        await house.begin()


async def test_where_there_is_no_space_for_journals_nothing_is_left_behind(tmp_path, database):
    house = House(tmp_path / "sessions", database)
    before = len(os.listdir("/proc/self/fd"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, limits[1]))  # Python ignores SIGXFSZ
    try:
        with pytest.raises(Unavailable, match="too large"):
            await house.begin()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(house.directory.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


async def test_how_far_live_sessions_have_come_is_stored_now_and_then(tmp_path, database):
    house = House(tmp_path / "sessions", database, checkpoint_interval=0.01, batch_interval=0.01)
    await house.begin()
    live = session(7, status="active", ended=0.0, bytes_sent=5)
    house.live.hear(0, Report(0, 0, 0, 0, live=[live]), [])
    running = asyncio.create_task(house.writer.run())
    while await house.store.get(7) is None:  # noqa: ASYNC110 -- the store tells nobody
        await asyncio.sleep(0.005)
    assert (await house.store.get(7)).bytes_sent == 5
    running.cancel()
    await house.writer.close()


async def test_identifiers_go_on_where_an_earlier_daemon_was(house):
    latest = int((1.6e9 - 1_577_836_800) * 1000 + 5000) << 22
    house.recorder.begin(latest)
    await house.begin()
    assert house.journal.latest == latest
    house.recorder.begin(latest << 3)  # the clock was set wrongly: by years
    await house.begin()
    assert house.journal.latest == 0


async def test_journals_have_the_size_that_is_set(house):
    assert house.journal.cells[RING] == SMALL


async def test_who_asks_finds_what_has_just_ended_and_live_sessions_as_they_were_a_moment_ago(tmp_path, database):
    house = House(tmp_path / "sessions", database)
    await house.begin()
    await house.writer.settle()  # nobody writes: nobody is waited for
    running = asyncio.create_task(house.writer.run())
    await asyncio.sleep(0)
    house.end(3)
    live = session(7, status="active", ended=0.0, bytes_sent=5)
    house.live.hear(0, Report(0, 0, 0, 0, live=[live]), [])
    house.writer._checked -= 10
    await asyncio.gather(house.writer.settle(), house.writer.settle())
    assert await house.stored() == [1, 2, 3]
    assert (await house.store.get(7)).bytes_sent == 5
    live.bytes_sent = 9
    await house.writer.settle()
    assert (await house.store.get(7)).bytes_sent == 5, "it was a moment ago"
    running.cancel()
    await house.writer.close()


async def test_who_asks_is_answered_however_much_goes_on_coming(tmp_path, database):
    house = House(tmp_path / "sessions", database)
    await house.begin()
    write = house.store.write

    async def write_and_have_more(batches):
        await write(batches)
        house.end(10)

    house.store.write = write_and_have_more
    running = asyncio.create_task(house.writer.run())
    await asyncio.sleep(0)
    house.end(10)
    for _ in range(3):  # the first comes before the writing, the others amid it
        asked = house.number
        async with asyncio.timeout(session_writer.ASKING * 0.9):
            await house.writer.settle()
        assert set(range(1, asked + 1)) <= set(await house.stored())
    house.store.write = write
    running.cancel()
    await house.writer.close()
    assert await house.stored() == list(range(1, house.number + 1))


async def test_what_waits_is_told_until_it_is_stored_and_not_a_moment_longer(house):
    house.end(3)
    assert [each.id for each in house.writer.unstored()] == [1, 2, 3]
    house.store.deaf = True
    with pytest.raises(Unavailable):
        await house.writer.flush()
    assert list(house.writer.unstored()) == [], "the store has them, though it did not say so"
    house.store.deaf = False
    house.end(2)
    assert [each.id for each in house.writer.unstored()] == [4, 5]
    await house.writer.flush()
    assert list(house.writer.unstored()) == []
    await fill(house)
    assert list(house.writer.unstored()) == [], "what is on disk is not told"
