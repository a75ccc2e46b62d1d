import os

import pytest

from vpn.domain.errors import Unavailable
from vpn.domain.session import Session
from vpn.proxy.journal import Journal, Recorder
from vpn.services.live_sessions import LiveSessions
from vpn.services.session_writer import SessionWriter
from vpn.settings.sessions import SessionSettings
from vpn.store.sessions import SessionStore

pytestmark = pytest.mark.anyio


def session(number, **fields):
    return Session(number, "main", "192.0.2.1", 4711, 1.0, status="closed", ended=2.0, **fields)


@pytest.fixture
def sessions(database):
    return SessionStore(database)


@pytest.fixture
def make(tmp_path, sessions):
    return lambda store=sessions: SessionWriter(
        tmp_path / "sessions", store, LiveSessions(), SessionSettings(), lambda: 3.0
    )


async def test_what_is_taken_is_stored_and_the_journal_told(make, sessions):
    writer = make()
    (fd,) = await writer.open(1)
    journal = Journal(fd)
    recorder = Recorder(journal)
    recorder.record(session(1, user="alice"))
    writer.take(journal, journal.read(recorder.settle()))
    assert journal.taken == 0
    await writer.flush()
    assert journal.taken == journal.written
    assert (await sessions.get(1)).user == "alice"
    os.close(fd)


async def test_what_a_killed_daemon_left_is_stored_once(make, sessions, tmp_path):
    writer = make()
    (fd,) = await writer.open(1)
    journal = Journal(fd)
    recorder = Recorder(journal)
    recorder.record(session(1))
    writer.take(journal, journal.read(recorder.settle()))
    await writer.flush()
    journal.take(0)  # it was killed between the two
    recorder.record(session(2))
    again = make()
    (fresh,) = await again.open(1)
    assert [(await sessions.get(number)).id for number in (1, 2)] == [1, 2]
    assert len(list((tmp_path / "sessions").iterdir())) == 1
    for each in (fd, fresh):
        os.close(each)


async def test_a_batch_that_cannot_be_written_is_kept(make, sessions, monkeypatch):
    writer = make()
    (fd,) = await writer.open(1)
    journal = Journal(fd)
    recorder = Recorder(journal)
    recorder.record(session(1))
    writer.take(journal, journal.read(recorder.settle()))
    write = sessions.write

    async def refuse(batches):
        raise Unavailable("database_unreachable", "gone", "wait")

    monkeypatch.setattr(sessions, "write", refuse)
    with pytest.raises(Unavailable):
        await writer.flush()
    monkeypatch.setattr(sessions, "write", write)
    await writer.flush()
    assert (await sessions.get(1)).id == 1
    os.close(fd)
