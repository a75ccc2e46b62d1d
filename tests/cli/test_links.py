import io
import json
import stat
import sys

import pytest
from ruamel.yaml import YAML

from tests.support.programs import find_program, run_program

LINK = "ss://YWVzLTEyOC1nY206dGVzdA@192.168.100.1:8888#Example1"
KEY16 = "AQEBAQEBAQEBAQEBAQEBAQ=="


@pytest.fixture
def given(monkeypatch):
    """Puts bytes on standard input."""

    def given(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return given


def test_a_link_is_shown(vpn):
    result = vpn("links", "parse", LINK)
    assert result.code == 0
    assert [line.split(None, 1) for line in result.out.splitlines()] == [
        ["kind", "shadowsocks"],
        ["method", "aes-128-gcm"],
        ["password", "test"],
        ["host", "192.168.100.1"],
        ["port", "8888"],
        ["name", "Example1"],
        ["link", LINK],
    ]


def test_what_is_within_is_shown_in_one_level(vpn):
    out = vpn("links", "parse", "trojan://x@a.test:443?type=ws&host=h.test&alpn=h2%2Chttp%2F1.1").out
    shown = [" ".join(line.split()) for line in out.splitlines()]
    assert {"host a.test", "stream host h.test", "stream alpn h2, http/1.1", "stream network ws"} <= set(shown)


def test_programs_get_everything(vpn):
    parsed = json.loads(vpn("links", "parse", LINK, "--format", "json").out)
    assert (parsed["kind"], parsed["link"], parsed["fields"]["port"]) == ("shadowsocks", LINK, 8888)
    assert YAML(typ="safe", pure=True).load(vpn("links", "parse", LINK, "--format", "yaml").out) == parsed


def test_standard_input_has_a_link_in_each_line(vpn, given):
    given(f"\n{LINK}\r\n  socks5://a:b@c:1\n\n".encode())
    first, second = vpn("links", "parse").out.split("\n\n")
    assert ("shadowsocks" in first, "proxy" in second) == (True, True)
    given(f"{LINK}\nsocks5://a:b@c:1".encode())
    lines = vpn("links", "parse", "-", "--format", "json").out.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["shadowsocks", "proxy"]


def test_standard_input_may_be_a_configuration(vpn, given):
    key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
    peer = f"[Peer]\nPublicKey = {key}\nEndpoint = a.test:51820\n"
    given(f"[Interface]\nPrivateKey = {key}\nAddress = 10.0.0.2/32\n\n{peer}".encode())
    assert "wireguard" in vpn("links", "parse").out


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("ss://rc4-md5:x@h:1", "'rc4-md5' is no Shadowsocks method"),
        ("ss://2022-blake3-aes-128-gsm:x@h:1", "did you mean 2022-blake3-aes-128-gcm?"),
        (f"ss://2022-blake3-aes-256-gcm:{KEY16}@h:1", "has 32 bytes, this one has 16"),
        ("ss://!!@h:1", "not base64"),
        ("ss://YWVzLTEyOC1nY206dGVzdA@h", "its port is missing"),
        ("ss://YWVzLTEyOC1nY206dGVzdA@h:70000", "its port is not from 1 to 65535"),
        ("ss://YWVzLTEyOC1nY206dGVzdA@h:http", "its port is no number"),
        ("tuic://x@h:1", "begins with no scheme that is known"),
        ("hello", "does not begin with a scheme"),
    ],
)
def test_what_is_wrong_is_said(vpn, link, said):
    result = vpn("links", "parse", link)
    assert result.code == 3
    assert said in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n \n", "no link on standard input"),
        (b"\xff", "not UTF-8"),
        (b"x" * 600_000, "more than"),
        (f"{LINK}\nss://x".encode(), "link 2: "),
    ],
)
def test_what_is_wrong_with_standard_input_is_said(vpn, given, content, said):
    given(content)
    result = vpn("links", "parse")
    assert (result.code, said in result.err) == (3, True), result.err


def test_what_is_no_text_is_none_in_every_locale(vpn, monkeypatch):
    lenient = io.TextIOWrapper(io.BytesIO(b"\xff"), "utf-8", "surrogateescape")  # as in the locale C
    monkeypatch.setattr(sys, "stdin", lenient)
    assert "not UTF-8" in vpn("links", "parse").err


def test_a_code_is_drawn_on_the_terminal(vpn, given):
    drawn = vpn("links", "qr", LINK).out
    assert set(drawn) <= set("█▀▄ \n")
    given(f"{LINK}\n".encode())
    assert vpn("links", "qr", "-").out == drawn


@pytest.mark.parametrize("name", ["x.svg", "x.PNG"])
def test_a_code_is_drawn_into_a_file(vpn, tmp_path, name):
    file = tmp_path / name
    assert vpn("links", "qr", LINK, "--output", str(file)).out == f"The QR code is in {file}.\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    picture = file
    if file.suffix == ".svg":
        picture = tmp_path / "x.png"
        find_program("rsvg-convert")
        assert run_program("rsvg-convert", "-o", str(picture), str(file)).code == 0
    assert run_program("zbarimg", "--quiet", "--raw", str(picture)).out == f"{LINK}\n"


def test_what_cannot_be_drawn_is_said(vpn, tmp_path):
    assert "name it .svg or .png" in vpn("links", "qr", LINK, "--output", "x.gif").err
    assert vpn("links", "qr", LINK, "--output", str(tmp_path / "no" / "x.png")).code == 7
    assert "do not fit" in vpn("links", "qr", "x" * 3000).err


def test_every_command_has_help(vpn):
    for command in ("parse", "qr"):
        result = vpn("links", command, "--help")
        assert result.code == 0
        assert len(result.out.strip().splitlines()[2].strip()) > 10, result.out
