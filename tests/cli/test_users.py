import io
import json

import pytest
from ruamel.yaml import YAML


def test_adding_prints_what_is_needed(vpn):
    result = vpn("users", "add", "bob", "--password", "s3 cret")
    assert result.code == 0
    assert "  password  s3 cret\n" in result.out
    assert "curl -x socks5h://bob:s3%20cret@127.0.0.1:1080 https://" in result.out
    assert "curl -x http://bob:s3%20cret@127.0.0.1:1080 https://" in result.out


def test_adding_for_programs(vpn):
    added = json.loads(vpn("users", "add", "bob", "--note", "n", "--disabled", "--format", "json").out)
    assert (added["name"], added["note"], added["enabled"]) == ("bob", "n", False)
    assert len(added["password"]) == 20
    assert len(added["links"]) == 2


@pytest.mark.parametrize("command", [("users", "add", "bob"), ("users", "passwd", "alice")])
def test_a_password_can_come_from_standard_input(vpn, monkeypatch, command):
    vpn("users", "add", "alice")
    monkeypatch.setattr("sys.stdin", io.StringIO("from stdin\n"))
    assert "  password  from stdin\n" in vpn(*command, "--password", "-").out


def test_listing_in_every_format(vpn):
    assert "no users yet" in vpn("users", "list").out
    assert json.loads(vpn("users", "list", "--format", "json").out) == []
    vpn("users", "add", "bob", "--note", "n")
    vpn("users", "add", "alice")
    header, alice, bob = vpn("users", "list").out.splitlines()
    assert header.split() == ["NAME", "ENABLED", "GROUPS", "DOWN", "/", "UP", "DATA", "EXPIRES", "NOTE"]
    assert alice.startswith("alice  yes")
    assert bob.endswith("  n")
    assert [user["name"] for user in json.loads(vpn("--format", "json", "users", "list").out)] == ["alice", "bob"]
    assert [user["note"] for user in YAML(typ="safe").load(vpn("users", "list", "--format=yaml").out)] == ["", "n"]
    assert [line.split("\t")[0] for line in vpn("users", "list", "--format", "plain").out.splitlines()] == [
        "alice",
        "bob",
    ]
    assert vpn("users", "list", "--search", "BO", "--format", "plain").out.startswith("bob\t")
    assert "No user matches" in vpn("users", "list", "--search", "x").out


def test_changing(vpn):
    vpn("users", "add", "alice")
    shown = json.loads(vpn("users", "edit", "alice", "--note", "new", "--name", "Carol", "--format", "json").out)
    assert (shown["name"], shown["note"]) == ("Carol", "new")
    assert json.loads(vpn("users", "disable", "carol", "--format", "json").out)["enabled"] is False
    assert json.loads(vpn("users", "enable", "carol", "--format", "json").out)["enabled"] is True
    assert "enabled     yes\n" in vpn("users", "show", "carol").out
    assert "new password" in vpn("users", "passwd", "carol").out
    assert vpn("users", "remove", "carol").out == "Removed carol.\n"
    assert vpn("users", "show", "carol").code == 4


def test_an_edit_says_what_to_change(vpn):
    result = vpn("users", "edit", "alice")
    assert result.code == 2
    assert "--note" in result.err


ALICE = ("--data-limit", "50GB", "--reset", "monthly", "--down", "20mbit", "--max-devices", "3", "--group", "staff")


@pytest.fixture
def staff(vpn):
    """The group staff, with alice in it, who has limits of her own, and bob, who has none."""
    assert vpn("groups", "add", "staff", "--down", "1mbit", "--up", "5mbit").code == 0
    assert vpn("users", "add", "alice", *ALICE).code == 0
    assert vpn("users", "add", "bob", "--group", "staff").code == 0


def show(vpn, name):
    return json.loads(vpn("users", "show", name, "--format", "json").out)


def test_limits_by_option(vpn, staff):
    alice = show(vpn, "alice")
    assert alice["groups"] == ["staff"]
    assert alice["limits"] == {"data_limit": 50 * 10**9, "reset": "monthly", "down": 20_000_000, "max_devices": 3}
    assert alice["effective"] == alice["limits"] | {"up": 5_000_000}


def test_own_and_inherited_limits_are_told_apart(vpn, staff):
    shown = dict(line.split("  ", 1) for line in vpn("users", "show", "alice").out.splitlines() if "  " in line)
    shown = {key: value.strip() for key, value in shown.items()}
    assert shown["down"] == "20 Mbit/s"
    assert shown["up"] == "5 Mbit/s (inherited)"
    assert shown["data limit"] == "50 GB"


def test_limits_are_changed_cleared_and_lifted(vpn, staff):
    result = vpn("users", "edit", "alice", "--clear", "down", "--clear", "reset", "--data-limit", "none", "--no-group")
    assert result.code == 0
    assert show(vpn, "alice")["limits"] == {"data_limit": 0, "max_devices": 3}
    assert show(vpn, "alice")["groups"] == []
    vpn("users", "edit", "alice", "--clear", "all", "--source", "10.0.0.0/8", "--source", "fd00::/8", "--hours", "none")
    assert show(vpn, "alice")["limits"] == {"sources": ["10.0.0.0/8", "fd00::/8"], "hours": []}


def test_lists_are_narrowed_and_show_what_holds(vpn, staff):
    vpn("users", "add", "carol", "--disabled", "--expires-after-first-use", "30d")
    lines = vpn("users", "list").out.splitlines()
    assert "20 Mbit/s / 5 Mbit/s" in lines[1]
    assert "50 GB monthly" in lines[1]
    assert "30d after first use" in lines[3]
    assert vpn("users", "list", "--group", "STAFF", "--format", "plain").out.count("\n") == 2
    assert vpn("users", "list", "--disabled", "--format", "csv").out.splitlines()[1].startswith("carol,no,")
    assert "No user matches" in vpn("users", "list", "--group", "nothing").out


def test_many_are_changed(vpn, staff):
    result = vpn("users", "edit", "--where", "group=staff", "--where", "enabled=yes", "--note", "n")
    assert result.code == 2
    assert "changes 2 users" in result.err
    assert show(vpn, "bob")["note"] == ""
    result = vpn("users", "edit", "--where", "group=staff", "--note", "n", "--yes")
    assert (result.code, result.out) == (0, "Changed 2 users.\n")
    assert show(vpn, "bob")["note"] == "n"
    assert vpn("users", "edit", "--where", "name=bob", "--disable").out == "Changed 1 user.\n"
    assert show(vpn, "bob")["enabled"] is False
    assert vpn("users", "edit", "--where", "search=zzz", "--note", "x").out == "No user matches.\n"
    where = ("--where", "name=alice", "--where", "name=bob")
    assert vpn("users", "edit", *where, "--enable", "--yes", "--format", "plain").out == "alice\nbob\n"


def test_one_is_asked_before_many_are_changed(vpn, staff, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for answer, note in (("n\n", ""), ("y\n", "n")):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        vpn("users", "edit", "--where", "group=staff", "--note", "n")
        assert show(vpn, "bob")["note"] == note


@pytest.mark.parametrize(
    "arguments",
    [
        ("--where", "group=staff"),
        ("--note", "n"),
        ("alice", "--where", "group=staff", "--note", "n"),
        ("--where", "group=staff", "--name", "x"),
        ("--where", "colour=red", "--note", "n"),
        ("--where", "group", "--note", "n"),
        ("--where", "enabled=perhaps", "--note", "n"),
        ("--where", "group=a", "--where", "group=b", "--note", "n"),
        ("alice", "--clear", "speed"),
    ],
)
def test_what_an_edit_cannot_be(vpn, arguments):
    assert vpn("users", "edit", *arguments).code == 2


def test_a_bad_limit_says_how_to_write_it(vpn):
    result = vpn("users", "add", "alice", "--down", "fast")
    assert result.code == 3
    assert "down: 'fast' is not a rate" in result.err
    assert "20mbit" in result.err


def test_every_command_has_help(vpn):
    for command in ("add", "list", "show", "edit", "enable", "disable", "remove", "passwd", "import", "export"):
        result = vpn("users", command, "--help")
        assert result.code == 0
        assert len(result.out.strip().splitlines()[2].strip()) > 10, result.out
