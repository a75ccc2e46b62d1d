"""Rules in the real daemon: applied, watched, and answering for what they do."""

import json
import socket

import pytest

from tests.support.curl import curl
from tests.support.daemon import running_daemon, vpn
from tests.support.plane import login, read_exactly
from tests.support.servers import echo, tcp_server
from tests.support.waiting import until

ALLOW = "default: allow\n"
BLOCK = """\
default: allow
groups:
  everyone:
    rules:
      - action: block
        description: nothing on this machine
        destinations: [127.0.0.0/8, "::1"]
"""


def fetched(daemon, web, host="127.0.0.1"):
    link = f"socks5h://alice:s3cret@127.0.0.1:{daemon.port}"
    return curl("--proxy", link, f"http://{host}:{web}/page").out == "hello /page"


def tunnel(daemon, port):
    client = socket.create_connection(("127.0.0.1", daemon.port), timeout=10)
    login(client)
    client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
    assert read_exactly(client, 10)[1] == 0
    return client


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(BLOCK)
    return path


def test_a_policy_is_in_force_when_the_command_returns(daemon, web, file):
    assert fetched(daemon, web)
    assert daemon.vpn("policy", "apply", str(file)).code == 0
    assert not fetched(daemon, web)
    assert not fetched(daemon, web, "localhost"), "no name leads round it"
    answer = daemon.vpn("policy", "test", "alice", f"localhost:{web}", "--format", "json")
    assert json.loads(answer.out)["why"] == "groups.everyone.rules.0 blocks it: nothing on this machine"
    assert daemon.vpn("policy", "rollback", "0").code == 0
    assert fetched(daemon, web)


def test_sessions_that_a_new_policy_forbids_are_closed_and_the_others_go_on(daemon, file):
    with tcp_server(echo) as kept_port, tcp_server(echo) as cut_port:
        kept, cut = tunnel(daemon, kept_port), tunnel(daemon, cut_port)
        file.write_text(BLOCK.replace("127.0.0.0/8", f"127.0.0.0/8:{cut_port}"))
        assert daemon.vpn("policy", "apply", str(file)).code == 0
        with pytest.raises(ConnectionResetError):
            cut.recv(1)
        kept.sendall(b"still here")
        assert read_exactly(kept, 10) == b"still here"
        kept.close()
        cut.close()
    assert daemon.vpn("policy", "rollback", "0").code == 0


def test_a_file_is_watched_and_a_bad_one_changes_nothing(data_dir, web, file):
    with running_daemon(data_dir, VPN_POLICY__MODE="file", VPN_POLICY__FILE=str(file)) as daemon:
        daemon.add_user("alice")
        assert not fetched(daemon, web)
        file.write_text(ALLOW)
        until(lambda: fetched(daemon, web))
        file.write_text("default: deny\n")
        daemon.wait_for(r"policy.yaml:1: default: 'deny' is no action", "err")
        assert fetched(daemon, web)
        assert "not what holds" in daemon.vpn("policy", "show").out
        file.with_name("new").write_text(BLOCK)
        file.with_name("new").rename(file)
        until(lambda: not fetched(daemon, web))
        assert daemon.vpn("policy", "apply", str(file)).code == 5


def test_a_bad_file_stops_the_start(data_dir, file):
    file.write_text("default: deny\n")
    listen = {"VPN_PROXY__LISTEN": "127.0.0.1:0", "VPN_API__LISTEN": "127.0.0.1:0"}
    result = vpn(data_dir, "serve", VPN_POLICY__MODE="file", VPN_POLICY__FILE=str(file), **listen)
    assert result.code == 3
    assert "policy.yaml:1: default: 'deny' is no action" in result.err
