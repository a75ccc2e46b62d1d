import json


def listed(vpn):
    return {(ban["kind"], ban["subject"]) for ban in json.loads(vpn("bans", "list", "--format", "json").out)}


def test_adding_listing_and_lifting(vpn):
    assert vpn("bans", "list").out == "Nobody is banned.\n"
    result = vpn("bans", "add", "192.0.2.1", "--for", "1h", "--reason", "spam")
    assert result.code == 0
    assert "reason      spam" in result.out
    assert vpn("bans", "add", "2001:db8::5").code == 0
    assert vpn("bans", "add", "Alice", "--for", "90").code == 0
    assert vpn("bans", "add", "192.0.2.1", "--user").code == 0
    assert listed(vpn) == {
        ("source", "192.0.2.1"),
        ("source", "2001:db8::/64"),
        ("user", "alice"),
        ("user", "192.0.2.1"),
    }
    header, *_ = vpn("bans", "list").out.splitlines()
    assert header.split() == ["KIND", "SUBJECT", "UNTIL", "FAILURES", "REASON"]
    assert vpn("bans", "remove", "2001:db8::/64").out == "2001:db8::/64 is banned no more.\n"
    vpn("bans", "remove", "192.0.2.1", "--user")
    assert listed(vpn) == {("source", "192.0.2.1"), ("user", "alice")}
    assert vpn("bans", "remove", "--all").out == "Bans lifted: 2.\n"
    assert listed(vpn) == set()


def test_what_is_wrong_is_said(vpn):
    assert vpn("bans", "remove", "192.0.2.1").code == 4
    assert "not a duration" in vpn("bans", "add", "alice", "--for", "long").err
    assert "not a source" in vpn("bans", "add", "10.0.0.0/8").err
    assert "trusted network" in vpn("bans", "add", "127.0.0.1").err
    assert vpn("bans", "remove").code == vpn("bans", "remove", "alice", "--all").code == 2


def test_every_command_has_help(vpn):
    for command in ("list", "add", "remove"):
        result = vpn("bans", command, "--help")
        assert result.code == 0
        assert len(result.out.strip().splitlines()[2].strip()) > 10, result.out
