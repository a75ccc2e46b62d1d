import json

import pytest
from ruamel.yaml import YAML

POLICY = """\
default: allow
groups:
  staff:
    rules:
      - action: block
        description: "no bees"
        destinations: [".b.test"]
        ports: ["443"]
users:
  alice:
    groups: [staff]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def test_a_policys_life(vpn, file):
    assert "No policy was ever applied" in vpn("policy", "show").out
    assert "No policy was ever applied" in vpn("policy", "history").out
    assert "They are the same" in vpn("policy", "diff").out
    assert vpn("policy", "apply", str(file), "--comment", "bees").out == "Version 1 of the policy is in force.\n"
    shown = vpn("policy", "show").out
    assert shown.splitlines()[0].startswith("# Version 1, ")
    assert shown.splitlines()[0].endswith(": bees")
    assert "".join(shown.splitlines(keepends=True)[1:]) == POLICY

    file.write_text("default: block\n")
    assert "-default: allow\n" in vpn("policy", "diff", str(file)).out
    assert vpn("policy", "apply", str(file), "--expect", "0").code == 5
    assert vpn("policy", "apply", str(file), "--expect", "1").code == 0
    assert "+default: block\n" in vpn("policy", "diff").out
    assert vpn("policy", "diff", "1").out == vpn("policy", "diff", "1", "2").out.replace("version 2", "now")
    assert vpn("policy", "rollback", "1").out == "Version 3 of the policy is in force.\n"
    header, *rows = vpn("policy", "history").out.splitlines()
    assert header.split() == ["NUMBER", "CREATED", "AT", "AUTHOR", "COMMENT"]
    assert [row.split()[0] for row in rows] == ["3", "2", "1"]
    assert rows[0].endswith("back to version 1")
    assert vpn("policy", "rollback", "9").code == 4


def test_what_is_shown_can_be_applied(vpn, file, tmp_path):
    vpn("policy", "apply", str(file))
    (tmp_path / "again.yaml").write_text(vpn("policy", "show").out)
    assert vpn("policy", "diff", str(tmp_path / "again.yaml")).out == "They are the same.\n"
    held = json.loads(vpn("policy", "show", "--format", "json").out)
    assert held["document"] == YAML(typ="safe").load(POLICY)


def test_a_wrong_file_is_told_with_its_line(vpn, file):
    file.write_text(POLICY.replace('"443"', "x"))
    for command in ("check", "apply", "diff"):
        result = vpn("policy", command, str(file))
        assert result.code == 3
        assert f"{file}:8: groups.staff.rules.0.ports: 'x' is no port" in result.err
    assert vpn("policy", "check", str(file.with_name("none.yaml"))).code == 7


def test_checking(vpn, file):
    assert vpn("policy", "check", str(file)).out == f"{file} is a policy.\n"


def test_testing_says_which_rule_decides_and_why(vpn, file):
    vpn("policy", "apply", str(file))
    said = dict(line.split(None, 1) for line in vpn("policy", "test", "alice", "www.b.test:443").out.splitlines())
    assert said == {
        "decision": "blocked",
        "why": "groups.staff.rules.0 blocks it: no bees",
        "rule": "block .b.test ports 443 tcp udp",
        "groups": "staff, everyone (there is no user alice)",
    }
    assert "decision  allowed\n" in vpn("policy", "test", "alice", "www.b.test:80", "--udp").out
    arguments = ("policy", "test", "bob", "[2001:db8::1]:80", "--source", "192.0.2.1", "--at", "2026-11-21T18:00")
    assert json.loads(vpn(*arguments, "--format", "json").out)["matched_rule"] is None
    assert vpn("policy", "test", "bob", "b.test").code == 3
    assert vpn("policy", "test", "bob", "b.test:1", "--at", "noon").code == 3


def test_a_policy_in_a_file_is_shown_with_what_is_wrong_with_it(vpn, file, monkeypatch):
    monkeypatch.setenv("VPN_POLICY__MODE", "file")
    monkeypatch.setenv("VPN_POLICY__FILE", str(file))
    assert vpn("policy", "show").out.startswith(f"# From {file}, written ")
    result = vpn("policy", "apply", str(file))
    assert result.code == 5
    assert "is at home in" in result.err


def test_what_the_guard_refuses_whatever_the_policy_says(vpn):
    assert "but       private addresses are refused, unless proxy.private_destinations is allow" in (
        vpn("policy", "test", "alice", "10.0.0.5:80").out
    )
    assert "but" not in vpn("policy", "test", "alice", "8.8.8.8:80").out
