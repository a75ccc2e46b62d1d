import json

import pytest


def test_a_groups_life(vpn):
    assert "no groups yet" in vpn("groups", "list").out
    added = vpn("groups", "add", "staff", "--down", "20mbit", "--shared-down", "1gbit", "--note", "n")
    assert added.out.startswith("Added staff.")
    vpn("users", "add", "alice", "--group", "staff")
    header, line = vpn("groups", "list").out.splitlines()
    assert header.split() == ["NAME", "MEMBERS", "DOWN", "/", "UP", "DATA", "NOTE"]
    assert line.split() == ["staff", "1", "20", "Mbit/s", "/", "-", "-", "n"]
    shown = vpn("groups", "show", "STAFF").out
    assert "down         20 Mbit/s" in shown
    assert "shared down  1 Gbit/s" in shown

    edited = vpn(
        *(
            "groups",
            "edit",
            "staff",
            "--name",
            "crew",
            "--clear",
            "shared-down",
            "--shared-share",
            "2",
            "--up",
            "1mbit",
        ),
        *("--format", "json"),
    )
    group = json.loads(edited.out)
    assert (group["name"], group["limits"], group["shared"]) == (
        "crew",
        {"down": 20_000_000, "up": 1_000_000},
        {"share": 2},
    )
    assert vpn("groups", "list", "--format", "plain").out.startswith("crew\t1\t20000000\t1000000\t")
    assert "No group matches" in vpn("groups", "list", "--search", "zzz").out

    refused = vpn("groups", "remove", "crew")
    assert refused.code == 5
    assert "--force" in refused.err
    assert vpn("groups", "remove", "crew", "--force").out == "Removed crew.\n"
    assert vpn("groups", "show", "crew").code == 4


def test_adding_for_programs(vpn):
    added = json.loads(vpn("groups", "add", "eu", "--max-devices", "3", "--format", "json").out)
    assert (added["name"], added["limits"], added["members"]) == ("eu", {"max_devices": 3}, 0)


def test_an_edit_says_what_to_change(vpn):
    assert vpn("groups", "edit", "staff").code == 2


@pytest.mark.parametrize("command", ["add", "list", "show", "edit", "remove"])
def test_every_command_has_help(vpn, command):
    result = vpn("groups", command, "--help")
    assert result.code == 0
    assert len(result.out.strip().splitlines()[2].strip()) > 10, result.out
