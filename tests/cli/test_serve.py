import subprocess
import sys
from pathlib import Path

import pytest

from vpn.cli.serve import announce
from vpn.daemon import Announcement
from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound


def announcement(links):
    return Announcement(
        [Inbound("main", "mixed", Endpoint("127.0.0.1", 1080))],
        Endpoint("127.0.0.1", 9090),
        Path("/d"),
        Path("/d/api-token"),
        links,
    )


def test_the_first_start_shows_how_to_try_it(capsys):
    announce(announcement(["socks5h://me:p@127.0.0.1:1080"]))
    said = capsys.readouterr().out
    assert "  curl -x socks5h://me:p@127.0.0.1:1080 https://" in said
    for wanted in ("127.0.0.1:1080", "http://127.0.0.1:9090/docs", "/d/api-token", "users add alice"):
        assert wanted in said


def test_later_starts_do_not(capsys):
    announce(announcement([]))
    assert "curl" not in capsys.readouterr().out


def test_what_is_not_served_is_said(capsys):
    announce(announcement([])._replace(unserved={"phones": "cannot listen on 0.0.0.0:8388: Address already in use"}))
    said = capsys.readouterr().out
    assert "phones is not served   cannot listen on 0.0.0.0:8388: Address already in use; it is tried again" in said


def test_shadowsocks_is_announced(capsys):
    inbound = Inbound("phones", "shadowsocks", Endpoint("0.0.0.0", 8388))
    announce(announcement([])._replace(inbounds=[inbound]))
    assert "Shadowsocks server     0.0.0.0:8388" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--workers", "0"], 3, "--set proxy.workers: proxy.workers cannot be '0'"),
        (["--listen", "nowhere"], 3, "proxy.listen cannot be 'nowhere'"),
        (["--set", "proxy.idle_timout=5"], 3, "there is no setting proxy.idle_timout"),
        (["--set", "nonsense"], 2, "KEY=VALUE"),
    ],
)
def test_bad_flags(vpn, arguments, code, says):
    result = vpn("serve", *arguments)
    assert result.code == code
    assert says in result.err


def test_what_structlog_would_like_to_have_is_not_in_memory():
    command = [sys.executable, "-X", "importtime", "-m", "vpn", "serve", "--set", "proxy.workers=none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode
    assert "structlog.dev" in done.stderr
    assert "rich.console" not in done.stderr
