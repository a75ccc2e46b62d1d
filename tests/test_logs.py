import json
import logging

import pytest
import structlog

from vpn import logs


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
    assert line == {"event": "shown", "level": "info", "user": "alice"}


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
