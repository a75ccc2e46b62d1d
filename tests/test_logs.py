import errno
import io
import json
import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
import structlog

import vpn
from vpn import logs
from vpn.services import telemetry
from vpn.services.log_lines import LogQuery
from vpn.settings.logs import Area
from vpn.settings.model import Settings


@pytest.fixture
def log():
    """Puts back what `configure` changes."""
    root = logging.getLogger()
    before = root.handlers, root.level
    yield structlog.get_logger
    root.handlers, root.level = before
    structlog.reset_defaults()


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_for_programs(log, capsys):
    logs.configure(level="info", format="json")
    log().debug("hidden")
    log().info("shown", user="alice")
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "shown", "level": "info", "area": "daemon", "user": "alice"}


def test_pretty_for_people(log, capsys):
    logs.configure(level="debug", format="pretty")
    log().debug("shown", user="alice")
    assert "user=alice" in capsys.readouterr().err


def test_what_libraries_log_goes_the_same_way(log, capsys):
    logs.configure(level="info", format="json")
    logging.getLogger("some.library").warning("careful with %s", "this")
    logging.getLogger("some.library").info("chatter")
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("careful with this", "warning", "some.library")


def test_a_flood_of_one_event_is_held_back_and_counted(log, capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    logs.configure(level="info", format="json")
    for _ in range(100):
        log().info("flood")
    log().info("another")
    now[0] = logs.WINDOW + 1
    log().info("flood")
    seen = lines(capsys)
    assert [line["event"] for line in seen] == ["flood"] * logs.BURST + ["another", "flood"]
    assert seen[-1]["left_out"] == 100 - logs.BURST


@pytest.mark.parametrize("format", ["pretty", "json"])
def test_a_traceback_shows_no_variables(log, capsys, format):
    logs.configure(level="info", format=format)

    def fail(password):
        raise RuntimeError("with a reason")

    try:
        fail("top" + "secret")
    except RuntimeError:
        log().exception("it failed")
    said = capsys.readouterr().err
    assert "with a reason" in said
    assert "topsecret" not in said


def test_errors_are_never_held_back(log, capsys):
    logs.configure(level="info", format="json")
    for _ in range(100):
        log().error("bad")
    assert len(lines(capsys)) == 100


def test_fields_are_bounded(log, capsys):
    logs.configure(level="info", format="json")
    log().info("x", host="a" * 100_000)
    assert len(lines(capsys)[0]["host"]) < 1000


class Full(io.StringIO):
    def flush(self):
        raise OSError(errno.ENOSPC, "no space")


def test_a_full_disk_stops_nobody_and_what_it_cost_is_told(log, capsys, monkeypatch):
    logs.configure(level="info", format="json")
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", Full())
        log().info("one")
        log().info("two")
    log().info("three")
    first, second = lines(capsys)
    assert first["event"] == "three"
    assert (second["event"], second["lines"]) == ("lines of the log could not be written", 2)


def test_each_area_may_have_a_level(log, capsys):
    logs.configure(level="warning", format="json", levels={"sessions": "debug", "proxy": "error"})
    for area in ("sessions", "proxy", "bans"):
        for level in ("debug", "info", "warning", "error"):
            getattr(log(area), level)("x")
    seen = [(line["area"], line["level"]) for line in lines(capsys)]
    levels = ("debug", "info", "warning", "error")
    assert seen == [("sessions", level) for level in levels] + [("proxy", "error")] + [
        ("bans", level) for level in ("warning", "error")
    ]
    assert log("sessions").is_enabled_for(logging.DEBUG)
    assert not log("bans").is_enabled_for(logging.INFO)


def test_one_event_of_two_areas_is_counted_apart(log, capsys):
    logs.configure(level="info", format="json")
    for area in ("proxy", "bans"):
        for _ in range(logs.BURST + 5):
            log(area).info("same")
    assert len(lines(capsys)) == 2 * logs.BURST


def test_a_library_is_held_back_whatever_it_says(log, capsys):
    logs.configure(level="info", format="json")
    for number in range(100):
        logging.getLogger("some.library").warning("failed %d", number)
    assert len(lines(capsys)) == logs.BURST


def test_events_that_are_counted_are_not_endlessly_many(monkeypatch):
    limit = logs.RateLimit()
    for number in range(logs.MOST_KEYS * 3):
        limit(None, "info", {"event": str(number), "area": "x"})
    assert len(limit._windows) == logs.MOST_KEYS


def test_whatever_a_field_is_the_line_is_json(log, capsys):
    logs.configure(level="info", format="json")
    log().info("x", path=Path("/a"), items=["\udcff" * 3, {"deep": object}], number=2**80, many=range(3))
    (line,) = lines(capsys)
    assert line["path"] == "/a"
    assert line["items"][0] == "???"
    assert line["number"] == str(2**80)


def test_nothing_from_outside_moves_the_cursor(log, capsys):
    logs.configure(level="info", format="pretty")
    log("sessions").info("x", host="a\x1b[2Jb")
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert "\\x1b[2Jb" in said
    assert "[sessions]" in said


def test_what_is_said_is_remembered(log, capsys, tmp_path):
    settings = Settings(data_dir=tmp_path, log={"level": "error", "format": "json", "levels": {"bans": "debug"}})
    memory = logs.remember(settings)
    logs.apply(settings.log, memory)
    log("bans").debug("details", user="alice")
    log("daemon").info("ready")
    log("proxy").info("chatter")
    log("proxy").warning("upstream failed", upstream="u")
    try:
        raise RuntimeError("with a reason")
    except RuntimeError:
        log("api").exception("defect")
    found = memory.lines.find(LogQuery(), 10)
    assert [(line.area, line.event) for line in found] == [("bans", "details"), ("api", "defect")]
    assert found[0].fields == {"user": "alice"}
    assert "with a reason" in found[1].fields["exception"]
    assert [line["event"] for line in lines(capsys)] == ["details", "defect"]
    # What is noteworthy is heard of even where it is not shown.
    events = [(event.severity, event.category, event.message) for event in memory.events.find()]
    assert events == [
        ("error", "api", "defect"),
        ("warning", "proxy", "upstream failed"),
        ("info", "daemon", "ready"),
    ]
    assert memory.events.find()[0].timestamp <= datetime.now(UTC)


@pytest.fixture(scope="module")
def code():
    return "".join(path.read_text() for path in Path(vpn.__file__).parent.rglob("*.py"))


def test_every_area_is_one_of_those_that_settings_know(code):
    areas = set(re.findall(r'get_logger\("(\w+)"\)', code))
    assert areas <= set(get_args(Area))
    assert len(areas) > 5


def test_what_is_noteworthy_is_said_somewhere(code):
    assert [event for _, event in telemetry.NOTEWORTHY if code.count(f'"{event}"') < 2] == []
    assert {area for area, _ in telemetry.NOTEWORTHY} <= set(get_args(Area))
