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
    assert header.split() == ["NAME", "ENABLED", "GROUPS", "DOWN", "UP", "DATA", "EXPIRES", "NOTE"]
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


def test_every_command_has_help(vpn):
    for command in ("add", "list", "show", "edit", "enable", "disable", "remove", "passwd"):
        result = vpn("users", command, "--help")
        assert result.code == 0
        assert len(result.out.strip().splitlines()[2].strip()) > 10, result.out
