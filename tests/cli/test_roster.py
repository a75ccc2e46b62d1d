import json

import pytest


@pytest.fixture
def people(vpn, tmp_path):
    """A file of two users, and the group that one of them is in."""
    vpn("groups", "add", "staff")
    path = tmp_path / "people.csv"
    path.write_text("name,password,groups,data_limit\nalice,s3cret,staff,50GB\nbob,,,\n")
    return str(path)


def test_everybody_comes_in(vpn, people):
    assert vpn("users", "import", people, "--dry-run").out == "Would be: 2 added.\n"
    assert "no users yet" in vpn("users", "list").out
    result = vpn("users", "import", people)
    assert result.out.startswith("2 added.\n")
    name, password = result.out.splitlines()[-1].split()
    assert (name, len(password)) == ("bob", 20)
    alice = json.loads(vpn("users", "show", "alice", "--format", "json").out)
    assert (alice["groups"], alice["limits"]) == (["staff"], {"data_limit": 50 * 10**9})


def test_or_nobody(vpn, tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("name,groups\nalice,\nb b,\ncarol,nothing\n")
    result = vpn("users", "import", str(path))
    assert result.code == 3
    assert "row 3: " in result.err
    assert "row 4: there is no group nothing" in result.err
    assert "no users yet" in vpn("users", "list").out


def test_who_is_there_already(vpn, people):
    vpn("users", "add", "alice")
    refused = vpn("users", "import", people)
    assert refused.code == 5
    assert "row 2: there is a user alice already" in refused.err
    done = json.loads(vpn("users", "import", people, "--on-conflict", "skip", "--format", "json").out)
    assert (done["added"], done["skipped"], list(done["passwords"])) == (["bob"], ["alice"], ["bob"])
    assert vpn("users", "import", people, "--on-conflict", "update").out == "2 updated.\n"


@pytest.mark.parametrize("suffix", ["csv", "json", "yaml"])
def test_there_and_back(vpn, people, tmp_path, suffix):
    vpn("users", "import", people)
    file = str(tmp_path / f"out.{suffix}")
    assert vpn("users", "export", "--file", file, "--with-hashes").out == f"Wrote 2 users to {file}.\n"
    before = vpn("users", "export", "--format", "json", "--group", "staff").out
    assert [row["name"] for row in json.loads(before)] == ["alice"]
    for name in ("alice", "bob"):
        vpn("users", "remove", name)
    assert vpn("users", "import", file).out == "2 added.\n"
    assert vpn("users", "export", "--format", "json", "--group", "staff").out == before


def test_no_hash_leaves_unasked(vpn, people):
    vpn("users", "import", people)
    for format in ("table", "csv", "json", "yaml"):
        result = vpn("users", "export", "--format", format)
        assert "alice" in result.out
        assert "argon2" not in result.out
