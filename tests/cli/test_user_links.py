import json
import stat

import pytest
from ruamel.yaml import YAML

from tests.support.qr_codes import codes_in, picture_of, scan
from vpn.cli import qr_codes
from vpn.links import schemes

CONFIG = """
server: {public_host: vpn.example.org}
proxy:
  inbounds:
    phones: {protocol: shadowsocks, listen: 127.0.0.1:8388}
    modern: {protocol: shadowsocks, listen: 127.0.0.1:8389, method: 2022-blake3-aes-128-gcm}
"""


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Two inbounds for apps, beside main."""
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    monkeypatch.setenv("VPN_CONFIG", str(config))


@pytest.fixture
def alice(vpn, served):
    """Alice's links to phones and modern."""
    return json.loads(vpn("users", "add", "alice", "--format", "json").out)["links"][2:]


def test_who_is_added_sees_the_links(vpn, served):
    result = vpn("users", "add", "bob", "--password", "x")
    lines = result.out.splitlines()
    assert lines[3].startswith("  try       curl -x socks5h://bob:x@vpn.example.org:1080")
    assert lines[5].startswith("  link      ss://")
    assert lines[6].startswith("            ss://2022-blake3-aes-128-gcm:")
    assert (len(lines), result.err) == (7, ""), "no code, for this is no terminal; no notice, for the host is said"


def test_links_alone_on_their_lines(vpn, alice):
    result = vpn("users", "link", "alice")
    assert (result.out.splitlines(), result.err) == (alice, "")
    assert vpn("users", "link", "alice", "--inbound", "modern", "--format", "uri").out == alice[1] + "\n"


def test_a_guess_is_said_beside_them(vpn, alice, tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG.replace("vpn.example.org", '""'))
    result = vpn("users", "link", "alice", "--inbound", "phones")
    assert schemes.parse(result.out.strip()).host == "127.0.0.1"
    assert "server.public_host" in result.err
    shown = json.loads(vpn("users", "link", "alice", "--format", "json").out)
    assert shown["links"][0]["guessed"] is True


@pytest.mark.parametrize("option", [("--format", "clash"), ("--format=clash",)])
def test_documents(vpn, alice, option):
    clash = YAML(typ="safe").load(vpn("users", "link", "alice", *option).out)
    assert [each["server"] for each in clash["proxies"]] == ["vpn.example.org"] * 2
    assert json.loads(vpn("users", "link", "alice", "--format", "sip008").out)["version"] == 1


def test_for_programs(vpn, alice):
    assert [each["uri"] for each in json.loads(vpn("users", "link", "alice", "--format", "json").out)["links"]] == alice
    rows = vpn("users", "link", "alice", "--format", "plain").out.splitlines()
    assert [row.split("\t")[:3] for row in rows] == [
        [alice[0], "phones", "shadowsocks"],
        [alice[1], "modern", "shadowsocks"],
    ]
    assert vpn("users", "link", "alice", "--format", "csv").out.startswith("uri,inbound,kind,host,port,guessed\n")


def test_a_document_is_for_links_only(vpn, alice):
    assert vpn("users", "list", "--format", "clash").code == 2


def test_where_there_is_no_link(vpn):
    vpn("users", "add", "bob")
    for command in ("link", "qr"):
        result = vpn("users", command, "bob")
        assert result.code == 4
        assert "vpn users passwd bob" in result.err
        assert "vpn inbounds add shadowsocks" in result.err
    assert vpn("users", "link", "bob", "--inbound", "main").code == 5
    assert vpn("users", "link", "nobody").code == 4
    vpn("users", "edit", "bob", "--inbound", "other")
    assert "there is no inbound that bob may use" in vpn("users", "link", "bob").err


def test_codes_on_the_terminal(vpn, alice):
    out = vpn("users", "qr", "alice").out
    assert [scan(picture_of(code)) for code in codes_in(out)] == alice
    assert [line for line in out.splitlines() if line.isalpha()] == ["phones", "modern"]
    [code] = codes_in(vpn("users", "qr", "alice", "--inbound", "modern").out)
    assert scan(picture_of(code)) == alice[1]


def test_a_code_in_a_file(vpn, alice, tmp_path):
    file = tmp_path / "code.png"
    file.write_bytes(b"")
    file.chmod(0o644)
    assert vpn("users", "qr", "alice", "--inbound", "phones", "--output", str(file)).code == 0
    assert scan(file.read_bytes()) == alice[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    result = vpn("users", "qr", "alice", "--output", str(tmp_path / "other.png"))
    assert result.code == 3
    assert "--inbound" in result.err
    assert "phones, modern" in result.err


def test_another_key(vpn, alice):
    result = vpn("users", "renew", "alice")
    assert result.out.startswith("alice has another key; links from before are void.\nss://")
    renewed = vpn("users", "link", "alice").out.splitlines()
    assert renewed == result.out.splitlines()[1:]
    assert not set(renewed) & set(alice)
    assert json.loads(vpn("users", "renew", "alice", "--format", "json").out)["user"] == "alice"


class Terminal:
    def __init__(self, columns):
        self.columns = columns


@pytest.mark.parametrize(("columns", "drawn"), [(200, True), (20, False)])
def test_a_code_is_drawn_where_it_fits(vpn, served, monkeypatch, columns, drawn):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(qr_codes.shutil, "get_terminal_size", lambda: Terminal(columns))
    out = vpn("users", "add", "bob").out
    link = next(line.split()[-1] for line in out.splitlines() if " link " in line)
    assert [scan(picture_of(code)) for code in codes_in(out)] == ([link] if drawn else [])
    assert codes_in(vpn("users", "passwd", "bob", "--no-qr").out) == []


def test_a_subscription(vpn, alice):
    result = vpn("subscription", "show", "alice")
    url = next(line.split()[-1] for line in result.out.splitlines() if line.startswith("url "))
    assert url.startswith("http://vpn.example.org:9090/sub/")
    assert "subscriptions.url" in result.err
    assert "clash" in result.out
    shown = json.loads(vpn("subscription", "show", "alice", "--format", "json").out)
    assert shown["url"] == url
    revoked = vpn("subscription", "revoke", "alice")
    assert revoked.out.startswith("The URL from before leads nowhere now.\n")
    assert url not in revoked.out
    assert vpn("subscription", "show", "nobody").code == 4


def test_a_subscription_on_a_terminal(vpn, alice, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(qr_codes.shutil, "get_terminal_size", lambda: Terminal(200))
    monkeypatch.setenv("VPN_SUBSCRIPTIONS__URL", "https://vpn.example.org")
    out = vpn("subscription", "show", "alice").out
    url, outline = (
        next(line.split()[-1] for line in out.splitlines() if line.startswith(word)) for word in ("url", "outline")
    )
    assert [scan(picture_of(code)) for code in codes_in(out)] == [url]
    assert outline.startswith("ssconf://vpn.example.org/sub/")
    monkeypatch.setenv("VPN_SUBSCRIPTIONS__ENABLED", "no")
    out = vpn("subscription", "show", "alice", "--no-qr").out
    assert codes_in(out) == []
    assert "subscriptions.enabled" in out


def test_a_format_that_there_is_not(vpn, alice):
    result = vpn("users", "link", "alice", "--format", "nonsense")
    assert (result.code, result.out) == (3, "")
    assert "there are: base64, plain, clash, sing-box, sip008, outline, wireguard" in result.err
    assert json.loads(vpn("users", "link", "alice", "--format", "singbox").out)["outbounds"]
