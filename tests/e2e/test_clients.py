"""Real curl through the real daemon."""

import pytest

from tests.support.curl import curl
from tests.support.daemon import running_daemon
from tests.support.servers import unused_port, web_server


@pytest.fixture(scope="module")
def web6():
    with web_server("::1") as port:
        yield port


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "http"])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_through(daemon, web, web6, scheme, host):
    port = web6 if host == "[::1]" else web
    link = f"{scheme}://alice:s3cret@127.0.0.1:{daemon.port}"
    result = curl("-x", link, "-p", f"http://{host}:{port}/a/b?c")
    assert (result.code, result.out) == (0, "hello /a/b?c"), result


@pytest.mark.parametrize(
    ("scheme", "credentials", "code"),
    [
        ("socks5", "alice:wrong@", 97),
        ("socks5", "nobody:s3cret@", 97),
        ("socks5", "", 97),
        ("http", "alice:wrong@", 56),
        ("http", "nobody:s3cret@", 56),
        ("http", "", 56),
    ],
)
def test_nobody_gets_in_without_the_password(daemon, web, scheme, credentials, code):
    result = curl("-x", f"{scheme}://{credentials}127.0.0.1:{daemon.port}", "-p", f"http://127.0.0.1:{web}/")
    assert result.code == code, result
    assert result.out == ""
    if scheme == "http":
        assert "407" in result.err


@pytest.mark.parametrize(
    ("destination", "socks", "http"),
    [
        ("127.0.0.1:{closed}", "(5)", "502"),
        ("255.255.255.255:9", None, "502"),
        ("does-not-exist.invalid:80", "(4)", "502"),
    ],
)
def test_failures_are_told_apart(daemon, destination, socks, http):
    url = f"http://{destination.format(closed=unused_port())}/"
    result = curl("-x", f"socks5h://alice:s3cret@127.0.0.1:{daemon.port}", url)
    assert result.code == 97, result
    assert socks is None or socks in result.err
    result = curl("-x", f"http://alice:s3cret@127.0.0.1:{daemon.port}", "-p", url)
    assert result.code == 56, result
    assert http in result.err


def test_guarded_destinations_are_refused_with_the_reason_in_the_log(data_dir, web):
    with running_daemon(data_dir, VPN_PROXY__PRIVATE_DESTINATIONS="refuse") as daemon:
        daemon.add_user("alice")
        for host, reason in (
            ("127.0.0.1", "loopback_destination"),
            ("localhost", "loopback_destination"),
            ("[::1]", "loopback_destination"),
            ("[::ffff:7f00:1]", "loopback_destination"),
            ("169.254.169.254", "link_local_destination"),
            ("10.0.0.1", "private_destination"),
            ("0.0.0.0", "unspecified_destination"),
        ):
            result = curl("-x", f"socks5h://alice:s3cret@127.0.0.1:{daemon.port}", f"http://{host}:{web}/")
            assert result.code == 97, result
            assert "(2)" in result.err
            result = curl("-x", f"http://alice:s3cret@127.0.0.1:{daemon.port}", "-p", f"http://{host}:{web}/")
            assert "403" in result.err, result
            written = host.strip("[]")
            destination = f"[{written}]:{web}" if ":" in written else f"{written}:{web}"
            daemon.wait_for(f'"reason": "{reason}".*"destination": "{_escaped(destination)}"', "err")


def _escaped(text):
    return "".join(f"\\{character}" if character in "[].:" else character for character in text)


def test_a_new_password_acts_at_once_and_the_old_one_no_more(daemon, web):
    daemon.add_user("carol", "old")
    url = f"http://127.0.0.1:{web}/"
    old, new = (f"socks5h://carol:{password}@127.0.0.1:{daemon.port}" for password in ("old", "new"))
    assert curl("-x", old, url).code == 0
    assert daemon.vpn("users", "passwd", "carol", "--password", "new").code == 0
    assert curl("-x", old, url).code == 97
    assert curl("-x", new, url).out == "hello /"
    assert daemon.vpn("users", "remove", "carol").code == 0
    assert curl("-x", new, url).code == 97


def test_the_log_holds_no_password(daemon, web):
    secret = "no-one-shall-see-this"
    daemon.add_user("dora", secret)
    for scheme in ("socks5h", "http"):
        for given in (secret, f"wrong-{secret}"):
            curl("-x", f"{scheme}://dora:{given}@127.0.0.1:{daemon.port}", "-p", f"http://127.0.0.1:{web}/")
    daemon.wait_for("authentication failed", "err")
    assert secret not in daemon.out + daemon.err
