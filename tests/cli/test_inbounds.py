import io
import json
from pathlib import Path

import pytest

KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


@pytest.fixture
def inbounds(vpn):
    return lambda line: vpn("inbounds", *line.split())


def test_an_inbounds_life(vpn, inbounds):
    added = inbounds("add shadowsocks --listen 8388")
    assert added.code == 0, added
    first, then, guess = added.out.splitlines()
    assert first == "Added shadowsocks: chacha20-ietf-poly1305 on 0.0.0.0:8388."
    assert "vpn users link NAME" in then
    assert "a guess" in guess
    again = inbounds("add shadowsocks --listen [::1]:9000 --public-host vpn.example.org --public-port 443")
    assert again.out.startswith("Added shadowsocks-2:")
    assert "guess" not in again.out
    named = inbounds("add http --name web --listen 192.0.2.1:8080 --open-to 10.0.0.0/8 --open-to ::1")
    assert named.out.startswith("Added web: http on 192.0.2.1:8080.\n")

    header, main, phones, second, web = inbounds("list").out.splitlines()
    assert header.split() == ["NAME", "SPEAKS", "LISTEN", "CLIENTS", "UP"]
    assert main.split() == ["main", "mixed", "127.0.0.1:1080", "0", "-"]
    assert phones.split()[:3] == ["shadowsocks", "chacha20-ietf-poly1305", "0.0.0.0:8388"]
    assert second.split()[2] == "[::1]:9000"
    assert web.split() == ["web", "http", "192.0.2.1:8080", "0", "-"]
    assert "public    vpn.example.org:443\n" in inbounds("show shadowsocks-2").out

    shown = inbounds("show web").out
    assert "open to   10.0.0.0/8, ::1" in shown
    assert "public    192.0.2.1:8080 (a guess; see --public-host)" in shown
    assert "managed   by vpn inbounds" in shown
    assert "served    no: no daemon is running" in shown
    edited = inbounds("edit web --clear open-to --max-connections 7 --set idle-timeout=60 --format json")
    assert json.loads(edited.out)["settings"] == {
        "protocol": "http",
        "listen": "192.0.2.1:8080",
        "max_connections": 7,
        "idle_timeout": 60.0,
    }
    assert "clients       0 of 7" in inbounds("show web").out
    assert inbounds("remove web").out == "Removed web.\n"
    assert inbounds("show web").code == 4
    assert vpn("users", "add", "alice").code == 0, "there are links for it, though not to every inbound"


def test_the_list_fits_a_terminal(inbounds):
    inbounds("add shadowsocks --listen 0.0.0.0:8388 --method 2022-blake3-chacha20-poly1305")
    inbounds("add socks --listen 192.168.100.100:65535 --max-connections 100")
    assert max(map(len, inbounds("list").out.splitlines())) <= 80


def test_for_programs(inbounds):
    added = json.loads(inbounds("add shadowsocks --listen 1 --method 2022-blake3-aes-128-gcm --format json").out)
    assert (added["name"], added["method"], added["managed"]) == ("shadowsocks", "2022-blake3-aes-128-gcm", True)
    assert [each["name"] for each in json.loads(inbounds("list --format json").out)] == [
        "main",
        "shadowsocks",
    ]
    assert inbounds("list --format plain").out.startswith("main\tmixed\t\t127.0.0.1:1080\tno\tno\tno\t0\t0\t")


def test_files_are_named_as_seen_from_here(inbounds, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    refused = inbounds("add http --listen 127.0.0.1:1 --certificate c.pem --private-key k.pem")
    assert refused.code == 3
    assert str(Path.cwd() / "c.pem") in refused.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("add shadowsocks --listen 1 --method chacha20", 3, "did you mean chacha20-ietf-poly1305?"),
        ("add shadowsocks --listen 1 --method 2022-blake3-aes-128-gcm --key AAAA", 3, "has 16 bytes, this one has 3"),
        ("add shadowsocks --listen 1 --key AAAA", 3, "this inbound has no key of its own"),
        ("add shadowsocks --listen here", 3, "listen cannot be 'here'"),
        ("add shadowsocks", 2, "--listen"),
        ("add wireguard --listen 1", 2, "wireguard"),
        ("add socks --listen 1 --method aes-128-gcm", 3, "expected protocol shadowsocks, where there is a method"),
        ("add socks --listen 1 --set colour=red", 3, "there is no setting colour"),
        ("add socks --listen 1 --set colour", 2, "write FIELD=VALUE"),
        ("add socks --listen 1 --set listen.port=1", 2, "listen has no parts, or is cleared"),
        ("add socks --listen 1 --private-key k.pem", 3, "tls.certificate is needed"),
        ("add socks --listen 127.0.0.1:1080", 5, "the inbound main listens there"),
        ("add socks --listen 1 --name main", 5, "an inbound main already"),
        ("add socks --listen 1 --name Main", 3, "small letters"),
        ("edit main", 2, "say what to change"),
        ("edit main --max-connections 3", 5, "comes from the settings"),
        ("edit nobody --max-connections 3", 4, "there is no inbound nobody"),
        ("edit main --clear key", 2, "an inbound has one"),
        ("remove main", 5, "comes from the settings"),
        ("remove nobody", 4, "there is no inbound nobody"),
    ],
)
def test_what_cannot_be(inbounds, arguments, code, says):
    result = inbounds(arguments)
    assert result.code == code, result
    assert says in result.err


def test_a_key_can_be_given_and_is_not_shown(inbounds):
    arguments = f"add shadowsocks --listen 1 --method 2022-blake3-aes-128-gcm --key {KEY}"
    assert inbounds(arguments).code == 0
    duplicate = inbounds(arguments.replace("--listen 1", "--listen 2"))
    assert duplicate.code == 5
    assert "already" in duplicate.err
    for command in ("show shadowsocks", "list"):
        for output in ("table", "json"):
            assert KEY not in inbounds(f"{command} --format {output}").out


def test_a_key_that_no_list_of_processes_shows(inbounds, monkeypatch):
    line = "add shadowsocks --listen {} --method 2022-blake3-aes-128-gcm --key {}"
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY}\n"))
    assert inbounds(line.format(1, "-")).code == 0
    assert "already" in inbounds(line.format(2, KEY)).err


@pytest.mark.parametrize("command", ["add", "list", "show", "edit", "remove"])
def test_every_command_has_help(vpn, command):
    assert "Usage: vpn inbounds" in vpn("inbounds", command, "--help").out
