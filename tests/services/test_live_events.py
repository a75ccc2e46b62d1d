import time

import pytest

from vpn.domain.session import Session
from vpn.proxy.control import Moved, Report
from vpn.services import live_events as module
from vpn.services.live_events import LiveEvents
from vpn.services.live_sessions import LiveSessions
from vpn.services.overview import Counters
from vpn.services.session_filter import ALL, session_filter
from vpn.services.traffic import Traffic

COUNTERS = Counters(1_700_000_000.0, 1, 2, 3, 4, 5, 6.0, 7.0, 8.0)


def session(number=1, user="alice", **fields):
    return Session(number, "main", "192.0.2.1", 4711, 1.0, user=user, host="a.test", **fields)


class Scene:
    def __init__(self):
        self.live = LiveSessions()
        self.events = LiveEvents(self.live, Traffic(time.monotonic), lambda: COUNTERS)
        self.told = []

    def listen(self, *topics, wanted=ALL):
        return self.events.subscribe(self.told.append, topics, show, wanted)

    def hear(self, live=(), moved=(), ended=()):
        report = Report(0, 0, 0, 0, live=list(live), moved=[Moved(number, count, 0, 0, 0) for number, count in moved])
        self.events.hear(self.live.hear(0, report, list(ended)))

    def turn(self):
        self.told.clear()
        self.events.turn()
        return self.told


def show(live):
    return live.session.id, live.session.bytes_sent


@pytest.fixture
def scene():
    return Scene()


def sessions(began=(), updated=(), ended=(), missed=(0, 0, 0)):
    not_told = dict(zip(("began", "ended", "updated"), missed, strict=True))
    told = {"began": list(began), "updated": list(updated), "ended": list(ended), "not_told": not_told}
    return [{"topic": "sessions"} | told]


def test_sessions_begin_move_and_end(scene):
    scene.listen("sessions")
    scene.hear(live=[session(1, bytes_sent=5), session(2)])
    assert scene.turn() == sessions(began=[(1, 5), (2, 0)])
    scene.hear(moved=[(1, 7)])
    scene.hear(moved=[(1, 9)])
    assert scene.turn() == sessions(updated=[(1, 9)])
    scene.hear(moved=[(2, 3)], ended=[session(1, bytes_sent=10, status="closed"), session(3, status="failed")])
    assert scene.turn() == sessions(updated=[(2, 3)], ended=[(1, 10), (3, 0)])
    assert scene.turn() == [], "nothing is new"


def test_of_what_is_too_much_the_number_is_told(scene, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    scene.listen("sessions")
    scene.hear(live=[session(number) for number in range(1, 6)], ended=[session(9, status="closed")] * 5)
    (event,) = scene.turn()
    assert (len(event["began"]), len(event["ended"])) == (2, 2)
    assert event["not_told"] == {"began": 3, "ended": 3, "updated": 1}
    scene.hear(moved=[(number, 5) for number in range(1, 6)])
    (event,) = scene.turn()
    assert (len(event["updated"]), event["not_told"]["updated"]) == (2, 3)


def test_a_filter_is_heeded(scene):
    scene.listen("sessions", wanted=session_filter(user="bob"))
    scene.hear(live=[session(1), session(2, "bob")], ended=[session(3, status="closed")])
    assert scene.turn() == sessions(began=[(2, 0)])
    scene.hear(moved=[(1, 5), (2, 6)])
    assert scene.turn() == sessions(updated=[(2, 6)])
    scene.hear(moved=[(1, 7)])
    assert scene.turn() == []


def test_a_session_whose_user_or_bytes_come_later_begins_then(scene):
    scene.hear(live=[session(7, "bob")])
    scene.listen("sessions", wanted=session_filter(user="bob"))
    scene.hear(live=[session(1, ""), session(2, "")])
    assert scene.turn() == []
    scene.hear(live=[session(1, "bob"), session(2, "alice")], moved=[(7, 1)])
    assert scene.turn() == sessions(began=[(1, 0)], updated=[(7, 1)])
    scene.hear(moved=[(1, 5)])
    assert scene.turn() == sessions(updated=[(1, 5)])
    scene.listen("sessions", wanted=session_filter(user="bob", min_bytes=8))
    scene.hear(moved=[(1, 9)])
    assert scene.turn() == [*sessions(updated=[(1, 9)]), *sessions(began=[(1, 9)])]


def test_only_the_topics_asked_for_are_told(scene):
    leave = scene.listen("counters")
    scene.hear(live=[session()])
    (event,) = scene.turn()
    assert (event["topic"], event["rejected"], event["time"].timestamp()) == ("counters", 3, 1_700_000_000)
    leave()
    assert scene.turn() == []
    scene.listen("sessions")()
    scene.hear(live=[session(2)])
    assert scene.turn() == []


def test_what_is_noteworthy_comes_from_elsewhere(scene):
    listening = []

    def subscribe(put):
        listening.append(put)
        return lambda: listening.remove(put)

    scene.events.telemetry = subscribe
    leave = scene.listen("telemetry")
    listening[0]({"message": "hm"})
    assert scene.told == [{"topic": "telemetry", "message": "hm"}]
    leave()
    assert listening == []


def test_a_new_listener_is_told_how_things_are(scene, monkeypatch):
    monkeypatch.setattr(module, "MOST_AT_FIRST", 2)
    scene.hear(live=[session(1), session(2, "bob"), session(3), session(4)])
    first, counters = scene.events.first(["sessions", "counters"], show, session_filter(user="alice"))
    assert first == {"topic": "sessions", "live": [(4, 0), (3, 0)], "not_told": {"live": 1}}
    assert counters["topic"] == "counters"
    assert scene.events.first(["telemetry"], show) == []
