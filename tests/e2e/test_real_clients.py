"""Other people's clients through the real daemon: each fetches a page, and gets none with a wrong password.

One row of CLIENTS is one client with one kind of proxy. It returns what it printed; what it makes of HTTP is its own
affair, so that the page is looked for at the end.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx
import httpx_socks
import pytest
import socks

from tests.support.curl import curl
from tests.support.daemon import Result
from tests.support.programs import find_program, run_program

NODE = Path(__file__).with_name("node")


class Proxy(NamedTuple):
    """What a client is told."""

    port: int
    user: str
    password: str
    scratch: Path
    """An empty directory, for configuration files."""


def curl_with(scheme, *flags):
    def fetch(proxy, host, port):
        link = f"{scheme}://{proxy.user}:{proxy.password}@127.0.0.1:{proxy.port}"
        return curl("--proxy", link, "--fail", *flags, f"http://{host}:{port}/page")

    return fetch


def pysocks_with(kind):
    def fetch(proxy, host, port):
        with socks.socksocket() as sock:
            sock.settimeout(20)
            sock.set_proxy(kind, "127.0.0.1", proxy.port, True, proxy.user, proxy.password)
            try:
                sock.connect((host, port))
            except socks.ProxyError as error:
                return Result(1, "", str(error))
            sock.sendall(b"GET /page HTTP/1.0\r\n\r\n")
            with sock.makefile("rb") as answer:
                return Result(0, answer.read().decode(), "")

    return fetch


def httpx_socks_with(scheme):
    def fetch(proxy, host, port):
        link = f"{scheme}://{proxy.user}:{proxy.password}@127.0.0.1:{proxy.port}"
        transport = httpx_socks.SyncProxyTransport.from_url(link, rdns=True)
        with httpx.Client(transport=transport, timeout=20) as client:
            try:
                return Result(0, client.get(f"http://{host}:{port}/page").text, "")
            except httpx_socks.ProxyError as error:
                return Result(1, "", str(error))

    return fetch


def socksify(proxy, host, port):
    config = proxy.scratch / "socks.conf"
    lines = [
        "resolveprotocol: fake",
        "route {",
        f"from: 0.0.0.0/0 to: 0.0.0.0/0 via: 127.0.0.1 port = {proxy.port}",
        "proxyprotocol: socks_v5",
        "command: connect",
        "protocol: tcp",
        "method: username",
        "}",
    ]
    config.write_text("\n".join(lines) + "\n")
    return run_program(
        *("socksify", find_program("curl"), "-sS", "--max-time", "20", f"http://{host}:{port}/page"),
        SOCKS_CONF=str(config),
        SOCKS_USERNAME=proxy.user,
        SOCKS_PASSWORD=proxy.password,
        SOCKS_AUTOADD_LANROUTES="no",  # loopback is no exception
    )


def proxychains_with(scheme):
    def fetch(proxy, host, port):
        config = proxy.scratch / "proxychains.conf"
        server = f"{scheme} 127.0.0.1 {proxy.port} {proxy.user} {proxy.password}"
        config.write_text(f"strict_chain\nproxy_dns\n[ProxyList]\n{server}\n")
        page = f"http://{host}:{port}/page"
        return run_program(
            "proxychains4", "-q", "-f", str(config), find_program("curl"), "-sS", "--max-time", "20", page
        )

    return fetch


def ncat_with(scheme):
    def fetch(proxy, host, port):
        server = ["--proxy", f"127.0.0.1:{proxy.port}", "--proxy-type", scheme, "--proxy-dns", "remote"]
        credentials = ["--proxy-auth", f"{proxy.user}:{proxy.password}"]
        request = "GET /page HTTP/1.0\r\n\r\n"
        return run_program("ncat", "--no-shutdown", *server, *credentials, host, str(port), stdin=request)

    return fetch


CLIENTS: dict[str, Callable[[Proxy, str, int], Result]] = {
    "curl socks5": curl_with("socks5"),
    "curl socks5h": curl_with("socks5h"),
    "curl http": curl_with("http"),
    "curl http, tunnelled": curl_with("http", "--proxytunnel"),
    "PySocks SOCKS5": pysocks_with(socks.SOCKS5),
    "PySocks HTTP": pysocks_with(socks.HTTP),
    "httpx-socks socks5": httpx_socks_with("socks5"),
    "httpx-socks http": httpx_socks_with("http"),
    "Dante socksify": socksify,
    "proxychains4 socks5": proxychains_with("socks5"),
    "proxychains4 http": proxychains_with("http"),
    "ncat socks5": ncat_with("socks5"),
    "ncat http": ncat_with("http"),
}


@pytest.fixture
def proxy(daemon, tmp_path):
    return Proxy(daemon.port, "alice", "s3cret", tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_page(proxy, web, client, host):
    result = CLIENTS[client](proxy, host, web)
    assert result.out.endswith("hello /page"), result
    assert result.code == 0, result


@pytest.mark.parametrize("client", CLIENTS)
def test_no_page_with_a_wrong_password(proxy, web, client):
    result = CLIENTS[client](proxy._replace(password="wrong"), "127.0.0.1", web)
    assert "hello" not in result.out, result
    assert result.code != 0, result


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A directory with our script and the npm packages it needs."""
    find_program("node")
    directory = tmp_path_factory.mktemp("node")
    for name in ("package.json", "commands.js"):
        shutil.copy(NODE / name, directory)
    flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    installed = run_program("npm", "install", "--prefix", str(directory), *flags, seconds=300)
    assert installed.code == 0, installed
    return directory


def npm_socks(node, proxy, command, *destination):
    script = str(node / "commands.js")
    return run_program("node", script, command, str(proxy.port), proxy.user, proxy.password, *destination)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_npm_socks_connect(node, proxy, web, host):
    result = npm_socks(node, proxy, "connect", f"{host}:{web}")
    assert result.out.endswith("hello /node"), result
    refused = npm_socks(node, proxy._replace(password="wrong"), "connect", f"{host}:{web}")
    assert refused.code == 1, refused
    assert "Authentication failed" in refused.err, refused


def test_npm_socks_bind(node, proxy):
    result = npm_socks(node, proxy, "bind")
    assert result == Result(0, "the peer heard: from the client", "")


def test_npm_socks_associate(node, proxy):
    result = npm_socks(node, proxy, "associate")
    assert result == Result(0, "echo: hello", "")
