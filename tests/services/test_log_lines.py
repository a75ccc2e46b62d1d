import pytest

from vpn.services.log_lines import LogQuery, RecentLines


def filled(keep=100, **more):
    lines = RecentLines(keep, 1.0, **more)
    for number in range(10):
        level = ("debug", "info", "warning", "error")[number % 4]
        lines.add("2026-01-01T00:00:00Z", level, "ab"[number % 2], f"Event {number}", {"user": "xy"[number % 2]})
    return lines


def events(found):
    return [int(line.event.split()[1]) for line in found]


@pytest.mark.parametrize(
    ("query", "limit", "expected"),
    [
        ({}, 3, [7, 8, 9]),
        ({"level": "warning"}, 99, [2, 3, 6, 7]),
        ({"level": "critical"}, 99, []),
        ({"area": "b", "level": "info"}, 2, [7, 9]),
        ({"user": "x"}, 2, [6, 8]),
        ({"text": "event 4"}, 9, [4]),
        ({"text": "Y"}, 2, [7, 9]),
        ({"text": "user"}, 9, []),
    ],
)
def test_what_is_asked_for_is_found(query, limit, expected):
    assert events(filled().find(LogQuery(**query), limit)) == expected


def test_going_on_after_a_line():
    lines = filled()
    third = lines.find(LogQuery(text="event 2"), 1)[0]
    assert events(lines.find(LogQuery(after=third.id), 3)) == [3, 4, 5]
    assert events(lines.find(LogQuery(after=third.id, level="error"), 3)) == [3, 7]
    later = RecentLines(10, 2.0)  # of a daemon that was started later
    later.add("2026-01-01T00:00:00Z", "info", "a", "Event 0", {})
    assert events(later.find(LogQuery(after=third.id), 3)) == [0]


def test_as_many_are_kept_as_are_to_be():
    lines = filled(keep=4)
    assert events(lines.find(LogQuery(), 99)) == [6, 7, 8, 9]
    lines.resize(2)
    assert events(lines.find(LogQuery(), 99)) == [8, 9]
    lines.resize(0)
    lines.add("2026-01-01T00:00:00Z", "info", "a", "Event 11", {})
    assert lines.find(LogQuery(), 99) == []


def test_all_together_are_bounded():
    lines = filled(most_bytes=1000)
    assert 3 < len(lines.find(LogQuery(), 99)) < 10
    lines.add("2026-01-01T00:00:00Z", "info", "a", "Event 10", {"long": "x" * 2000})
    assert lines.find(LogQuery(), 99) == []


def test_who_follows_hears_what_is_meant_until_he_stops():
    lines = filled()
    heard = []
    stop = lines.follow(LogQuery(area="a", level="info"), 2, heard.append)
    assert [line["event"] for line in heard] == ["Event 2", "Event 6"]
    heard.clear()
    lines.add("2026-01-01T00:00:00Z", "warning", "a", "Event 10", {"n": 1})
    lines.add("2026-01-01T00:00:00Z", "warning", "b", "Event 11", {})
    stop()
    lines.add("2026-01-01T00:00:00Z", "warning", "a", "Event 12", {})
    (line,) = heard
    assert line.pop("id") > 0
    assert line == {
        "time": "2026-01-01T00:00:00Z",
        "level": "warning",
        "area": "a",
        "event": "Event 10",
        "fields": {"n": 1},
    }
