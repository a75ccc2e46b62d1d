"""Started as root, served by an ordinary account."""

import os
import pwd
import socket
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.curl import curl
from tests.support.daemon import running_daemon, vpn
from tests.support.unprivileged import ACCOUNT, needs_root, open_directory, with_python_in_reach

ONLY_LOW_PORTS = f"{1 << 10:016x}"
NOTHING = f"{0:016x}"


@pytest.fixture
def data():
    needs_root()
    with open_directory() as directory:
        yield directory / "data"


@pytest.fixture
def reach():
    needs_root()
    return with_python_in_reach()


def low_port():
    """A port on which only root may listen, and nobody does."""
    for port in range(1023, 600, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port below 1024 is free")


def low_ports_are_open():
    """Some containers let everybody have them."""
    return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) < 1024


def status(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


def check_process(pid, capabilities):
    account = pwd.getpwnam(ACCOUNT)
    found = status(pid)
    assert found["Uid"] == [str(account.pw_uid)] * 4
    assert found["Gid"] == [str(account.pw_gid)] * 4
    assert {int(group) for group in found["Groups"]} == set(os.getgrouplist(ACCOUNT, account.pw_gid))
    assert found["NoNewPrivs"] == ["1"]
    assert (found["CapEff"], found["CapPrm"]) == ([capabilities], [capabilities])
    assert (found["CapInh"], found["CapBnd"], found["CapAmb"]) == ([NOTHING], [NOTHING], [NOTHING])


def test_a_low_port_and_an_ordinary_account(data, reach, web):
    port = low_port()
    settings = {"VPN_PROXY__LISTEN": f"127.0.0.1:{port}", "VPN_PROXY__WORKERS": "2", "VPN_PROCESS__USER": ACCOUNT}
    link = f"socks5h://alice:s3cret@127.0.0.1:{port}"
    for start in ("the first", "the second"):
        with running_daemon(data, through=reach, **settings) as daemon:
            for task in Path(f"/proc/{daemon.process.pid}/task").iterdir():
                check_process(f"{daemon.process.pid}/task/{task.name}", ONLY_LOW_PORTS)
            workers = daemon.workers()
            assert len(workers) == 2
            for worker in workers:
                check_process(worker, NOTHING)
            if start == "the first":
                daemon.add_user("alice")  # as root
            assert curl("-x", link, f"http://127.0.0.1:{web}/").out == "hello /"
            for path in (data, *data.iterdir()):
                assert path.owner() == ACCOUNT, path
                assert path.stat().st_mode & 0o077 == 0, path
            daemon.wait_for("root's privileges dropped", "err")
        assert daemon.process.returncode == 0


def test_what_root_made_is_handed_over_and_stays_usable_for_root(data, reach, web):
    assert vpn(data, "users", "add", "alice", "--password", "s3cret").code == 0
    assert {path.owner() for path in data.iterdir()} == {"root"}
    with running_daemon(data, through=reach, VPN_PROCESS__USER=ACCOUNT) as daemon:
        link = f"socks5h://alice:s3cret@127.0.0.1:{daemon.port}"
        assert curl("-x", link, f"http://127.0.0.1:{web}/").out == "hello /"
    assert vpn(data, "users", "add", "bob", through=reach).code == 0, "without a daemon"
    assert {path.owner() for path in data.iterdir()} == {ACCOUNT}
    with running_daemon(data, through=reach, VPN_PROCESS__USER=ACCOUNT) as daemon:
        assert "bob" in daemon.vpn("users", "list").out


def test_a_low_port_that_is_added_later(data, reach, web):
    port = low_port()
    link = f"socks5h://alice:s3cret@127.0.0.1:{port}"
    for start in ("the first", "the second"):
        with running_daemon(data, through=reach, VPN_PROCESS__USER=ACCOUNT) as daemon:
            if start == "the first":
                daemon.add_user("alice")
                added = daemon.vpn("inbounds", "add", "socks", "--listen", f"127.0.0.1:{port}")
                assert added.code == 0, added
            check_process(daemon.process.pid, ONLY_LOW_PORTS)
            assert curl("-x", link, f"http://127.0.0.1:{web}/").out == "hello /"


def test_a_certificate_that_only_root_may_read_is_refused(data, reach):
    files = Authority(data.parent).issue("localhost")
    files.certificate.chmod(0o644)
    files.key.chmod(0o600)
    with running_daemon(data, through=reach, VPN_PROCESS__USER=ACCOUNT) as daemon:
        command = ("inbounds", "add", "http", "--listen", "127.0.0.1:0")
        tls = ("--certificate", str(files.certificate), "--private-key", str(files.key))
        refused = daemon.vpn(*command, *tls)
        assert refused.code == 3, refused
        assert str(files.key) in refused.err
        os.chown(files.key, pwd.getpwnam(ACCOUNT).pw_uid, -1)
        assert daemon.vpn(*command, *tls).code == 0


@pytest.mark.parametrize(
    ("user", "code", "says"),
    [("no-such-account", 3, "there is no account no-such-account"), ("root", 3, "root is root")],
)
def test_an_account_that_will_not_do(data, user, code, says):
    result = vpn(data, "serve", VPN_PROXY__LISTEN="127.0.0.1:0", VPN_API__LISTEN="127.0.0.1:0", VPN_PROCESS__USER=user)
    assert result.code == code, result
    assert says in result.err
    assert not data.exists(), "nothing was made"


def test_root_who_stays_root_is_warned(data_dir):
    needs_root()
    with running_daemon(data_dir) as daemon:
        assert '"level": "warning"' in daemon.wait_for(".*running as root.*", "err")[0]


def test_started_without_privileges_it_says_what_is_off(data, reach):
    account = pwd.getpwnam(ACCOUNT)
    ordinary = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    data.mkdir()
    os.chown(data, account.pw_uid, account.pw_gid)
    with running_daemon(data, through=[*reach, *ordinary], VPN_PROCESS__USER="daemon") as daemon:
        line = daemon.wait_for(".*started without root's privileges.*", "err")[0]
        assert '"level": "warning"' in line
        assert "open files; going on as another account, so process.user (daemon) is ignored" in line
        assert low_ports_are_open() or "listening on ports below " in line
    if low_ports_are_open():
        return
    result = vpn(data, "serve", through=[*reach, *ordinary], VPN_PROXY__LISTEN=f"127.0.0.1:{low_port()}")
    assert result.code == 7
    assert "Permission denied" in result.err
