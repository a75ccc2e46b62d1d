"""Links and subscriptions of a real daemon, as printed, fetched, scanned, and cut off."""

import base64
import contextlib
import json
import re
import subprocess
from urllib.parse import urlsplit

import pytest

from tests.support.api import API
from tests.support.certificates import Authority
from tests.support.clients import CONNECT, connect, read_reply, socks5
from tests.support.collector import running_collector
from tests.support.curl import curl
from tests.support.daemon import VPN, environment, running_daemon
from tests.support.origin import origin
from tests.support.plane import read_exactly
from tests.support.postgres import running_postgres
from tests.support.programs import find_program, run_program
from tests.support.qr_codes import codes_in, picture_of, scan
from tests.support.servers import echo, tcp_server
from tests.support.shadowsocks_programs import open_tunnel, sing_box, sing_box_program, ss_local
from tests.support.terminal import on_terminal
from tests.support.waiting import until
from vpn.links import dynamic_key, schemes

BROWSER = ("-A", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140", "-H", "Accept: text/html,*/*;q=0.8")
CONFIG = """
server: {name: home}
proxy:
  inbounds:
    phones: {protocol: shadowsocks, listen: 127.0.0.1:0}
    modern: {protocol: shadowsocks, listen: 127.0.0.1:0, method: 2022-blake3-aes-128-gcm}
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    directory = tmp_path_factory.mktemp("subscriptions")
    (directory / "config.yaml").write_text(CONFIG)
    with running_daemon(
        directory / "data",
        "--config",
        str(directory / "config.yaml"),
        VPN_SUBSCRIPTIONS__RATE="10000",
        VPN_SUBSCRIPTIONS__TOTAL_RATE="100000",
    ) as daemon:
        yield daemon


def links_of(daemon, name, *options):
    found = daemon.vpn("users", "link", name, *options)
    assert found.code == 0, found
    return found.out.splitlines()


def url_of(daemon, name):
    found = daemon.vpn("subscription", "show", name, "--format", "json")
    assert found.code == 0, found
    return json.loads(found.out)["url"]


def status_of(url, *options):
    return curl("-o", "/dev/null", "-w", "%{http_code}", *options, url).out


# --- links


def client_of(link, directory):
    """Other people's client of a link."""
    if link.method.startswith("2022"):
        return sing_box(link.method, link.password, link.port, directory)
    return ss_local(link.method, link.password, link.port)


@pytest.mark.parametrize("inbound", ["phones", "modern"])
def test_a_link_as_printed_connects_until_the_key_is_renewed(daemon, tmp_path, inbound):
    user = f"renewed-{inbound}"
    daemon.add_user(user)
    [link] = map(schemes.parse, links_of(daemon, user, "--inbound", inbound))
    with tcp_server(echo) as port, client_of(link, tmp_path) as local:
        with open_tunnel(local, port) as tunnel, socks(daemon, user, port) as other:
            tunnel.sendall(b"x")
            assert tunnel.recv(1) == b"x"
            assert daemon.vpn("users", "renew", user).code == 0
            assert closed(tunnel)
            other.sendall(b"y")
            assert other.recv(1) == b"y", "who came by the password stays"
        with open_tunnel(local, port) as tunnel:
            tunnel.sendall(b"x")
            tunnel.settimeout(0.5)
            with pytest.raises(TimeoutError):
                tunnel.recv(1)
    [renewed] = map(schemes.parse, links_of(daemon, user, "--inbound", inbound))
    with (
        tcp_server(echo) as port,
        client_of(renewed, tmp_path) as local,
        open_tunnel(local, port) as tunnel,
    ):
        tunnel.sendall(b"x")
        assert tunnel.recv(1) == b"x"
    history = f"/api/sessions/history?user={user}&page_size=50"
    api = API(daemon.api, daemon.data_dir)
    until(lambda: "key_changed" in {each["reason"] for each in api.get(history)["data"]})


def closed(tunnel):
    try:
        return tunnel.recv(1) == b""
    except ConnectionResetError:
        return True


def socks(daemon, user, port):
    """A tunnel of a user who has a password."""
    client = connect(daemon.port)
    name, password = user.encode(), b"s3cret"
    client.sendall(b"\x05\x01\x02\x01" + bytes([len(name)]) + name + bytes([len(password)]) + password)
    assert read_exactly(client, 4) == b"\x05\x02\x01\x00"
    client.sendall(socks5(CONNECT, "127.0.0.1", port))
    read_reply(client)
    return client


def test_who_is_added_on_a_terminal_can_scan_it(daemon):
    command = (VPN, "users", "add", "scanner")
    with on_terminal(command, environment(daemon.data_dir), columns=120, rows=60) as terminal:
        assert terminal.wait() == 0
        shown = terminal.output
    [code] = codes_in(shown.replace("\r", ""))
    [link] = links_of(daemon, "scanner", "--inbound", "phones")
    assert scan(picture_of(code)) == link
    assert link in shown


# --- subscriptions


def test_each_client_is_served(daemon):
    daemon.add_user("served")
    url = url_of(daemon, "served")
    links = links_of(daemon, "served")
    got = curl("-A", "v2rayNG/1.10", url).out
    assert base64.b64decode(got).decode().splitlines() == links
    assert curl(f"{url}?format=plain").out.splitlines() == links
    assert "proxy-groups:" in curl("-A", "mihomo/1.19", url).out
    assert json.loads(curl("-A", "Outline/1.15", url).out)["server_port"] == schemes.parse(links[0]).port
    assert "<html" in curl(*BROWSER, url).out
    head = curl("--head", url).out
    assert head.startswith("HTTP/1.1 200")
    assert "subscription-userinfo: upload=0; download=0; total=0; expire=0" in head
    assert "cache-control: no-store" in head


def test_sing_box_takes_the_document(daemon, tmp_path):
    daemon.add_user("boxed")
    (tmp_path / "config.json").write_text(curl("-A", "SFI/1.12 (sing-box 1.12)", url_of(daemon, "boxed")).out)
    done = subprocess.run(
        [sing_box_program(), "check", "-c", str(tmp_path / "config.json")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_used_is_told_and_who_is_over_the_quota_learns_it(daemon):
    assert daemon.vpn("users", "add", "frugal", "--password", "s3cret", "--data-limit", "100kB").code == 0
    url = url_of(daemon, "frugal")
    with origin(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\nConnection: close\r\n\r\n" + b"x" * 60000) as site:
        through = f"http://frugal:s3cret@127.0.0.1:{daemon.port}"
        assert curl("-x", through, "-p", "-o", "/dev/null", f"http://127.0.0.1:{site.port}/").code == 0
        until(lambda: told(url)["download"] > 60000)
        first = told(url)
        assert first["upload"] < 2000
        assert first["total"] == 100_000
        curl("-x", through, "-p", "-o", "/dev/null", f"http://127.0.0.1:{site.port}/")
    until(lambda: "used up" in curl(f"{url}?format=outline").out)
    assert "Your data volume is used up" in curl(*BROWSER, url).out
    assert told(url)["upload"] + told(url)["download"] >= 100_000
    assert daemon.vpn("users", "reset-usage", "frugal").code == 0
    assert json.loads(curl(f"{url}?format=outline").out)["server"] == "127.0.0.1"


def told(url):
    line = re.search(r"subscription-userinfo: (.*)", curl("--head", url).out)[1]
    return {key: int(value) for key, value in (each.split("=") for each in line.split("; "))}


def test_a_url_that_is_revoked_leads_nowhere(daemon):
    daemon.add_user("revoked")
    url = url_of(daemon, "revoked")
    assert status_of(url) == "200"
    assert daemon.vpn("subscription", "revoke", "revoked").code == 0
    assert status_of(url) == "404"
    assert status_of(url_of(daemon, "revoked")) == "200"


def test_nothing_else_is_reached_by_it(daemon):
    daemon.add_user("curious")
    url = url_of(daemon, "curious")
    token = url.rpartition("/")[2]
    assert status_of(f"{url}/../../api/users", "--path-as-is") == "404"
    assert status_of(f"{daemon.api}/api/users", "-H", f"Authorization: Bearer {token}") == "401"
    assert status_of(url, "-d", "x") == "405"


def test_floods_are_held_back(tmp_path):
    with running_daemon(tmp_path / "data", VPN_SUBSCRIPTIONS__RATE="5") as daemon:
        url = url_of(daemon, "me")
        codes = [status_of(url) for _ in range(6)]
        assert codes == ["200"] * 5 + ["429"]
        assert status_of(f"{daemon.api}/health") == "200", "the API is not concerned"
        assert daemon.vpn("users", "list").code == 0


def test_settings_are_in_force_after_a_reload(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("subscriptions: {title: before}")
    with running_daemon(tmp_path / "data", "--config", str(config)) as daemon:
        url = url_of(daemon, "me")
        assert "profile-title: before" in curl("--head", url).out
        config.write_text("subscriptions: {title: after, update_interval: 3}")
        reloaded = daemon.vpn("reload", "--format", "json")
        assert json.loads(reloaded.out)["restart_needed"] == []
        head = curl("--head", url).out
        assert "profile-title: after" in head
        assert "profile-update-interval: 3" in head
        config.write_text("subscriptions: {enabled: false}")
        daemon.vpn("reload")
        assert status_of(url) == "404"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_url_outlives_the_daemon(tmp_path, kind):
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(running_postgres()).new_database() if kind == "postgresql" else ""
        where = {"VPN_DATABASE__URL": database} if database else {}
        with running_daemon(tmp_path / "data", **where) as daemon:
            url = url_of(daemon, "me")
            daemon.add_user("other")
            old = url_of(daemon, "other")
            assert daemon.vpn("subscription", "revoke", "other").code == 0
        with running_daemon(tmp_path / "data", **where) as daemon:
            assert urlsplit(url_of(daemon, "me")).path == urlsplit(url).path
            assert status_of(daemon.api + urlsplit(url).path) == "200"
            assert status_of(daemon.api + urlsplit(old).path) == "404"


def test_outline_fetches_its_dynamic_key_in_tls(tmp_path):
    authority = Authority(tmp_path)
    files = authority.issue("api")
    (tmp_path / "config.yaml").write_text(CONFIG)
    tls = {"VPN_API__TLS__CERTIFICATE": str(files.certificate), "VPN_API__TLS__KEY": str(files.key)}
    with running_daemon(tmp_path / "data", "--config", str(tmp_path / "config.yaml"), **tls) as daemon:
        shown = json.loads(daemon.vpn("subscription", "show", "me", "--format", "json").out)
        assert shown["url"].startswith("https://127.0.0.1:")
        fetched = dynamic_key.url(dynamic_key.parse(shown["outline"]))
        trusting = ("--cacert", str(authority.file))
        [link] = map(schemes.parse, links_of(daemon, "me", "--inbound", "phones"))
        assert json.loads(curl(*trusting, fetched).out) == {
            "server": link.host,
            "server_port": link.port,
            "method": link.method,
            "password": link.password,
        }
        assert shown["outline"].replace("&", "&amp;") in curl(*trusting, *BROWSER, shown["url"]).out
        assert daemon.vpn("users", "disable", "me").code == 0
        assert json.loads(curl(*trusting, fetched).out) == {"error": {"message": "Your access is switched off"}}


def test_no_token_is_in_any_log(tmp_path):
    with running_collector() as collector:
        log = tmp_path / "access.log"
        variables = {
            "VPN_LOG__LEVEL": "debug",
            "VPN_LOG__ACCESS__FILE": str(log),
            "VPN_OTEL__ENDPOINT": collector.url,
            "VPN_OTEL__SAMPLE_RATIO": "1",
            "VPN_OTEL__INTERVAL": "0.2",
        }
        with running_daemon(tmp_path / "data", **variables) as daemon:
            url = url_of(daemon, "me")
            for options in ((), BROWSER, ("--head",), ("-d", "x"), ("-H", "Host: a b"), ("-X", "BAD METHOD")):
                curl(*options, url)
            curl(f"{url}?format=nothing")
            curl(f"{url}/more")
            daemon.vpn("subscription", "revoke", "me")
            curl(url)
            other = url_of(daemon, "me")
            curl(other)
            api = API(daemon.api, daemon.data_dir)
            lines = json.dumps(api.get("/api/logs?limit=1000"))
            until(lambda: collector.spans("GET /api/logs"))
        everything = [lines, daemon.out, daemon.err, str(collector.requests)]
        everything += [each.read_text(errors="replace") for each in tmp_path.rglob("*") if each.is_file()]
    assert "/api/logs" in str(collector.requests), "what is asked of the API is traced"
    for secret in (url.rpartition("/")[2], other.rpartition("/")[2]):
        assert len(secret) == 32
        assert not any(secret in text for text in everything)


# --- the page


def test_a_browser_shows_the_page_and_its_script_runs(daemon, tmp_path):
    daemon.add_user("browsing")
    browser = find_program("chromium", "chromium-browser", "google-chrome")
    flags = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--enable-logging=stderr",
        "--v=0",
    )
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    page = run_program(browser, *flags, profile, "--dump-dom", url_of(daemon, "browsing"), seconds=120)
    assert "browsing" in page.out
    assert page.out.count("<button") == 3
    assert not re.search(r"<button[^>]* hidden", page.out), "the script has shown what needs it"
    assert "Content Security Policy" not in page.err
    codes = re.findall(r'src="data:image/png;base64,([^"]+)"', page.out)
    assert [scan(base64.b64decode(each)) for each in codes] == [
        url_of(daemon, "browsing"),
        *links_of(daemon, "browsing"),
    ]
