from datetime import UTC, datetime, timedelta

import pytest

from vpn.services.telemetry import GATHER, Telemetry

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class House:
    def __init__(self, most=100, hours=1):
        self.now = BEGAN
        self.telemetry = Telemetry(most, timedelta(hours=hours), lambda: self.now)

    def say(self, event, level="warning", area="proxy", **fields):
        self.telemetry.hear(self.now.isoformat(), level, area, event, fields)

    def found(self, **where):
        return [(event.message, event.count) for event in self.telemetry.find(**where)]


def test_what_is_noteworthy_is_remembered_the_newest_first():
    house = House()
    house.say("worker died", "error", code=-9)
    house.say("chatter", "info")
    house.say("upstream is back", "info")
    house.say("upstream is back", "debug")
    house.say("careful", "warning", area="bans")
    assert house.found() == [("careful", 1), ("upstream is back", 1), ("worker died", 1)]
    assert house.telemetry.find()[-1].details == {"code": -9}
    assert house.found(severity="error") == [("worker died", 1)]
    assert house.found(category="Bans") == [("careful", 1)]
    assert house.found(limit=1) == [("careful", 1)]
    identifiers = [event.id for event in house.telemetry.find()]
    assert identifiers == sorted(identifiers, reverse=True)


def test_what_happens_again_and_again_is_one_event():
    house = House()
    for _ in range(3):
        house.say("upstream failed", upstream="a")
        house.say("upstream failed", upstream="b")
    house.say("upstream failed", upstream="b", left_out=10)
    assert house.found() == [("upstream failed", 14), ("upstream failed", 3)]
    assert house.telemetry.find()[0].details == {"upstream": "b"}
    house.now += GATHER
    house.say("upstream failed", upstream="a")
    house.now += GATHER + timedelta(seconds=1)
    house.say("upstream failed", upstream="a")
    assert house.found() == [("upstream failed", 1), ("upstream failed", 4), ("upstream failed", 14)]


def test_a_storm_of_logins_washes_nothing_away():
    house = House(most=3)
    house.say("worker died", "error")
    for number in range(100):
        house.say("authentication failed", area="sessions", source=f"192.0.2.{number}:1")
    assert house.found() == [("authentication failed", 100), ("worker died", 1)]
    assert house.telemetry.find()[0].details == {"source": "192.0.2.99:1"}


def test_the_oldest_are_forgotten():
    house = House(most=3)
    for number in range(5):
        house.say(str(number))
    assert house.found() == [("4", 1), ("3", 1), ("2", 1)]
    assert len(house.telemetry._latest) == 3
    house.now += timedelta(minutes=59)
    house.say("late")
    assert house.found(minutes=30) == [("late", 1)]
    house.now += timedelta(minutes=2)
    assert house.found() == [("late", 1)]


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
def test_severities_are_levels(level):
    house = House()
    house.say("x", level)
    assert house.telemetry.find()[0].severity == level


def test_followers_are_told_also_of_what_is_seen_again():
    house, told = House(), []
    leave = house.telemetry.follow(told.append)
    for _ in range(2):
        house.say("worker died", "error", worker=1)
    house.say("chatter", "info")
    assert [(each["message"], each["severity"], each["count"]) for each in told] == [
        ("worker died", "error", 1),
        ("worker died", "error", 2),
    ]
    assert told[0]["id"] == told[1]["id"]
    assert told[0]["timestamp"] == "2026-01-01T00:00:00Z"
    leave()
    house.say("worker died", "error", worker=2)
    assert len(told) == 2
