"""Inbounds that are open, in TLS, or speak one protocol alone, through the real daemon and real clients."""

import re
import shutil
import subprocess

import pytest

from tests.support.curl import curl
from tests.support.daemon import running_daemon
from tests.support.programs import run_program

CONFIG = """
proxy:
  listen: none
  inbounds:
    open: {{listen: 127.0.0.1:0, open_to: 127.0.0.0/8, anonymous_user: guest}}
    tls: {{listen: 127.0.0.1:0, tls: {{certificate: {0}/cert.pem, key: {0}/key.pem, minimum_version: "1.3"}}}}
    socks: {{protocol: socks, listen: 127.0.0.1:0}}
    http: {{protocol: http, listen: 127.0.0.1:0}}
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("inbounds")
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    files = ("-keyout", directory / "key.pem", "-out", directory / "cert.pem")
    subprocess.run([program, "req", *kind, *names, *files], check=True, capture_output=True, timeout=60)
    (directory / "config.yaml").write_text(CONFIG.format(directory))
    return directory


@pytest.fixture(scope="module")
def daemon(directory):
    with running_daemon(
        directory / "data", "--config", str(directory / "config.yaml"), VPN_PROXY__LISTEN="none"
    ) as one:
        one.add_user("alice")
        yield one


@pytest.fixture(scope="module")
def ports(daemon):
    shown = daemon.vpn("status").out
    return {name: int(port) for name, port in re.findall(r"inbound (\w+) .*:(\d+)", shown)}


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h", "http"])
def test_an_open_inbound_wants_no_credentials(ports, web, scheme):
    result = curl("--proxy", f"{scheme}://127.0.0.1:{ports['open']}", f"http://127.0.0.1:{web}/page")
    assert result.out == "hello /page", result


def test_who_names_a_user_there_is_asked_for_the_password(ports, web):
    link = f"127.0.0.1:{ports['open']}"
    assert curl("--proxy", f"socks5h://alice:s3cret@{link}", f"http://127.0.0.1:{web}/").out == "hello /"
    assert curl("--proxy", f"socks5h://alice:wrong@{link}", f"http://127.0.0.1:{web}/").code != 0
    assert "407" in curl("--fail", "--proxy", f"http://alice:wrong@{link}", f"http://127.0.0.1:{web}/").err


def test_socks4_is_refused_where_credentials_are_needed(ports, web):
    result = curl("--proxy", f"socks4a://alice@127.0.0.1:{ports['socks']}", f"http://127.0.0.1:{web}/")
    assert result.code == 97, result


def test_proxychains_speaks_socks4(ports, web, tmp_path):
    config = tmp_path / "proxychains.conf"
    config.write_text(f"strict_chain\n[ProxyList]\nsocks4 127.0.0.1 {ports['open']}\n")
    page = f"http://127.0.0.1:{web}/page"
    result = run_program("proxychains4", "-q", "-f", str(config), "curl", "-sS", "--max-time", "20", page)
    assert result.out == "hello /page", result


def test_ncat_speaks_socks4(ports, web):
    proxy = ("--proxy", f"127.0.0.1:{ports['open']}", "--proxy-type", "socks4")
    result = run_program("ncat", "--no-shutdown", *proxy, "127.0.0.1", str(web), stdin="GET / HTTP/1.0\r\n\r\n")
    assert result.out.endswith("hello /"), result


@pytest.mark.parametrize("flags", [(), ("--proxytunnel",)])
def test_http_in_tls(ports, web, directory, flags):
    link = f"https://alice:s3cret@localhost:{ports['tls']}"
    trust = ("--proxy-cacert", str(directory / "cert.pem"))
    assert curl("--proxy", link, *trust, *flags, f"http://127.0.0.1:{web}/page").out == "hello /page"


def test_each_alone(ports, web):
    page = f"http://127.0.0.1:{web}/"
    assert curl("--proxy", f"socks5h://alice:s3cret@127.0.0.1:{ports['socks']}", page).out == "hello /"
    assert curl("--proxy", f"http://alice:s3cret@127.0.0.1:{ports['http']}", page).out == "hello /"
    assert curl("--proxy", f"http://alice:s3cret@127.0.0.1:{ports['socks']}", page).code != 0
    assert curl("--proxy", f"socks5h://alice:s3cret@127.0.0.1:{ports['http']}", page).code != 0


def test_sighup_and_reload_read_the_file_again(daemon, directory, web):
    config = directory / "config.yaml"
    before = config.read_text()
    config.write_text(before + "    more: {listen: 127.0.0.1:0, open_to: 127.0.0.1}\n")
    assert daemon.vpn("reload").out == "Inbounds: added more.\n"
    port = re.search(r"inbound more .*:(\d+)", daemon.vpn("status").out)[1]
    assert curl("--proxy", f"socks5h://127.0.0.1:{port}", f"http://127.0.0.1:{web}/").out == "hello /"
    config.write_text(before.replace("open_to", "open_too"))
    wrong = daemon.vpn("reload")
    assert wrong.code != 0
    assert "did you mean proxy.inbounds.open.open_to?" in wrong.err
    config.write_text(before)
    daemon.process.send_signal(1)
    daemon.wait_for(r'"removed": \["more"\].*the settings were reloaded', "err")
    assert curl("--proxy", f"socks5h://127.0.0.1:{port}", f"http://127.0.0.1:{web}/").code != 0
