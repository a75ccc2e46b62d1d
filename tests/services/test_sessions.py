import time

import pytest
from structlog.testing import capture_logs

from vpn.domain.errors import Invalid, NotFound, Unavailable
from vpn.domain.session import Session, first_id, show_id
from vpn.proxy.control import Report
from vpn.proxy.supervisor import Closed
from vpn.services.live_sessions import LiveSessions
from vpn.services.session_filter import session_filter
from vpn.services.sessions import SessionService
from vpn.services.traffic import Traffic

pytestmark = pytest.mark.anyio

FIRST = first_id(1_700_000_000)


def session(number, user="alice", host="a.test"):
    return Session(FIRST + number, "main", "192.0.2.1", 4711, 1.0, user=user, host=host, port=443)


class Workers:
    """Workers that close what they are told to, or hang."""

    def __init__(self):
        self.asked = []
        self.closes = 1
        self.silent = 0

    async def cut(self, reason, *, ids=(), user="", destination=""):
        self.asked.append((reason, list(ids), user, destination))
        return Closed(self.closes, self.silent)


@pytest.fixture
def live():
    live = LiveSessions()
    live.hear(0, Report(0, 0, 0, 0, live=[session(1), session(2, "bob", "b.test")]), [])
    live.hear(1, Report(0, 0, 0, 0, live=[session(3)]), [])
    return live


@pytest.fixture
def workers():
    return Workers()


@pytest.fixture
def service(live, workers):
    service = SessionService(live, Traffic(time.monotonic))
    service.run(workers)
    return service


def shown(service, **fields):
    return [each.session.id - FIRST for each in service.active(session_filter(**fields))]


def test_the_newest_come_first_and_only_so_many(service):
    assert shown(service) == [3, 2, 1]
    assert shown(service, user="alice") == [3, 1]
    assert [each.session.id - FIRST for each in service.active(limit=1, sort_by="user", descending=False)] == [3]


async def test_one_that_is_closed_is_not_shown_until_it_is_forgotten(service, workers, live):
    with capture_logs() as lines:
        assert (await service.terminate(show_id(FIRST + 1), by="local")).user == "alice"
    assert workers.asked == [("terminated", [FIRST + 1], "", "")]
    (line,) = lines
    assert (line["by"], line["sessions"], line["user"], line["session"]) == ("local", 1, "alice", show_id(FIRST + 1))
    assert shown(service) == [3, 2]
    with pytest.raises(NotFound):
        await service.terminate(show_id(FIRST + 1), by="local")
    live.take(0)
    assert shown(service) == [3]


async def test_who_is_not_live_cannot_be_closed(service, workers):
    with pytest.raises(NotFound):
        await service.terminate(show_id(FIRST + 9), by="local")
    with pytest.raises(Invalid):
        await service.terminate("nonsense", by="local")
    assert workers.asked == []


async def test_a_worker_that_hangs_is_told_from_a_session_that_ended(service, workers, live):
    workers.closes, workers.silent = 0, 1
    with pytest.raises(Unavailable):
        await service.terminate(show_id(FIRST + 3), by="local")
    assert shown(service) == [3, 2, 1]

    async def ends_meanwhile(reason, *, ids=(), user="", destination=""):
        live.take(1)
        return Closed(0, 1)

    workers.cut = ends_meanwhile
    with pytest.raises(NotFound):
        await service.terminate(show_id(FIRST + 3), by="local")


async def test_a_session_that_has_ended_and_was_not_reported_yet_is_unknown(service, workers):
    workers.closes = 0
    with pytest.raises(NotFound):
        await service.terminate(show_id(FIRST + 3), by="local")


async def test_what_was_closed_is_not_remembered_for_ever(service, live):
    await service.terminate(show_id(FIRST + 1), by="local")
    live.take(0)
    await service.terminate(show_id(FIRST + 3), by="local")
    assert service._closed == {FIRST + 3}


async def test_many_are_closed_by_user_and_destination(service, workers):
    workers.closes = 2
    assert await service.terminate_many(user="ALICE", by="192.0.2.5") == 2
    assert workers.asked == [("terminated", [], "alice", "")]
    assert shown(service) == [2]
    await service.terminate_many(destination="*.test", by="local")
    assert shown(service) == []


async def test_somebody_must_be_meant(service, workers):
    with pytest.raises(Invalid):
        await service.terminate_many(by="local")
    with pytest.raises(Invalid):
        await service.terminate_many(user="alice", destination="a//b", by="local")
    assert workers.asked == []


async def test_without_workers_nothing_can_be_closed(live):
    with pytest.raises(Unavailable):
        await SessionService(live, Traffic(time.monotonic)).terminate(show_id(FIRST + 1), by="local")
