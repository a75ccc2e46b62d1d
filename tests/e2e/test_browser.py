"""A real browser loads a page with all that belongs to it.

Chromium cannot be given a proxy's credentials on its command line, so it comes to an inbound that is open to loopback.
"""

import re

import pytest

from tests.support.daemon import running_daemon
from tests.support.pages import RESOURCES, WORDS, page_server
from tests.support.programs import find_program, run_program

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--ignore-certificate-errors"),
    # Loopback is no exception from the proxy; its maker's servers, which it asks for unbidden, are, and not found.
    *("--proxy-bypass-list=<-loopback>;*.com;*.net;*.org", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
    "--dump-dom",
)
CONFIG = """
proxy:
  inbounds:
    browser: {protocol: mixed, listen: 127.0.0.1:0, open_to: [127.0.0.0/8]}
"""


def load(proxy, url, profile):
    """The page as the browser sees it once everything is loaded."""
    browser = find_program("chromium", "chromium-browser", "google-chrome")
    return run_program(browser, *FLAGS, f"--proxy-server={proxy}", f"--user-data-dir={profile}", url, seconds=120)


def check(proxy, scheme, directory):
    with page_server(directory if scheme == "https" else None) as (port, asked):
        result = load(proxy, f"{scheme}://127.0.0.1:{port}/", directory / "profile")
    said = re.search(r'<p id="said">(.*?)</p>', result.out)
    assert said, result
    assert set(said[1].split()) == WORDS
    assert set(asked) == set(RESOURCES)


@pytest.mark.parametrize(
    ("proxy", "page"), [("socks5", "http"), ("socks5", "https"), ("http", "http"), ("http", "https")]
)
def test_a_page_and_all_that_belongs_to_it(tmp_path, proxy, page):
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    with running_daemon(
        tmp_path / "data", "--config", str(config), VPN_LOG__LEVEL="debug", VPN_PROXY__LISTEN="none"
    ) as daemon:
        check(f"{proxy}://127.0.0.1:{daemon.port}", page, tmp_path)
        daemon.wait_for(r'"destination": "127\.0\.0\.1:\d+".*"event": "session ', "err")
