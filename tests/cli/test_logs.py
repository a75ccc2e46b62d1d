import pytest

from vpn.cli.context import Context
from vpn.cli.logs import _sentences
from vpn.cli.output import Format, Output


@pytest.fixture
def line():
    return {
        "id": 1,
        "time": "2026-01-01T00:00:00.5Z",
        "level": "warning",
        "area": "bans",
        "event": "banned",
        "fields": {"user": "alice", "until": "to morrow", "places": ["a", 1], "bad": "\x1b[2J"},
    }


def test_without_a_daemon_there_is_no_log(vpn):
    for arguments in ((), ("--follow",)):
        result = vpn("logs", *arguments)
        assert result.code == 7
        assert "no daemon is running" in result.err
    assert vpn("logs", "--level", "loud").code == 2
    assert "--follow" in vpn("logs", "--help").out


def test_a_line_for_people(line):
    (said,) = _sentences(line, coloured=False)
    head, _, fields = said.partition("  user=")
    assert head.rstrip().endswith("  warning  bans       banned")
    assert fields == 'alice  until="to morrow"  places=["a", 1]  bad=\ufffd[2J'
    assert "\x1b[33mwarning\x1b[0m" in _sentences(line, coloured=True)[0]
    assert "\x1b[2J" not in _sentences(line, coloured=True)[0]


def test_a_traceback_stands_below(line):
    line["fields"] = {"exception": "Traceback:\n  here\nValueError: \x07"}
    head, *below = _sentences(line, coloured=False)
    assert head.endswith("banned")
    assert below == ["    Traceback:", "      here", "    ValueError: \ufffd"]


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        (Format.TABLE, "… 3 lines were left out"),
        (Format.JSON, '{"dropped": 3}'),
        (Format.CSV, "id,time,level,area,event,fields\n,,,,3 lines were left out"),
        (Format.PLAIN, "\t\t\t\t3 lines were left out"),
        (Format.YAML, "---\ndropped: 3"),
    ],
)
def test_following_a_log_that_is_too_fast(capsys, monkeypatch, format, expected):
    from vpn.cli.logs import logs

    class Client:
        def follow_log(self, limit, **where):
            yield {"dropped": 3}

    monkeypatch.setattr(Context, "client", lambda self, **options: Client())
    ctx = type("Ctx", (), {"obj": Context(Output(format), None, None, None, None)})()
    logs(ctx, follow=True, level=None, limit=1)
    assert capsys.readouterr().out.startswith(expected)
