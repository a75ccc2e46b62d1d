"""Phones get through with what `vpn users` prints: every method, several users on a port, TCP and UDP.

Links are read here with nothing but the standard library: what is wrong with how we write them must not be put right by
how we read them.
"""

import base64
import json
import socket
import subprocess
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
import socks

from tests.support.daemon import running_daemon
from tests.support.metered import pour
from tests.support.plane import read_exactly
from tests.support.programs import find_program
from tests.support.servers import echo, tcp_server, udp_echo
from tests.support.shadowsocks_programs import open_tunnel, sing_box, ss_local

OLD = ("aes-128-gcm", "aes-256-gcm", "chacha20-ietf-poly1305")
NEW = tuple(f"2022-blake3-{name}" for name in ("aes-128-gcm", "aes-256-gcm", "chacha20-poly1305"))
USERS = ("alice", "bob")
MIB = 1024 * 1024
LIMIT = 8 * MIB


class Link(NamedTuple):
    """A server and how to be let in there."""

    method: str
    password: str
    port: int


def read_link(text):
    """As SIP002 has it: the user information is base64url, with the methods of 2022 it is percent-encoded."""
    parts = urlsplit(text)
    assert parts.scheme == "ss"
    assert parts.hostname == "127.0.0.1"
    told = parts.netloc.rpartition("@")[0]
    if not told.startswith("2022-"):
        told = base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)).decode()
        return Link(*told.split(":", 1), parts.port)
    method, _, password = told.partition(":")
    return Link(method, unquote(password), parts.port)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("phones") / "data", VPN_PROXY__WORKERS="2") as daemon:
        for method in (*OLD, *NEW):
            added = daemon.vpn(
                *("inbounds", "add", "shadowsocks", "--name", method, "--method", method, "--listen", "127.0.0.1:0")
            )
            assert added.code == 0, added
        for user in USERS:
            daemon.add_user(user)
        yield daemon


def printed(daemon, user, method):
    shown = daemon.vpn("users", "link", user, "--inbound", method)
    assert shown.code == 0, shown
    return shown.out.removesuffix("\n")


def programs(method):
    return ("ss-local", "sing-box") if method in OLD else ("sing-box",)


@pytest.mark.parametrize(
    ("method", "program"), [(method, program) for method in (*OLD, *NEW) for program in programs(method)]
)
def test_every_user_of_a_port_gets_through(daemon, tmp_path, method, program):
    with tcp_server(echo) as tcp, udp_echo() as udp:
        for user in USERS:
            link = read_link(printed(daemon, user, method))
            assert link.method == method
            client = ss_local(*link) if program == "ss-local" else sing_box(*link, tmp_path)
            with client as own:
                with open_tunnel(own, tcp) as tunnel:
                    tunnel.sendall(b"over TCP")
                    assert read_exactly(tunnel, 8) == b"over TCP"
                assert said_back(own, udp, b"over UDP") == b"over UDP"
        live = daemon.vpn("sessions", "list", "--format", "json", "--status", "closed", "--limit", "50")
        seen = {(each["user"], each["inbound"]) for each in json.loads(live.out)}
        assert {(user, method) for user in USERS} <= seen


def said_back(own, port, said):
    """What a datagram through the SOCKS5 proxy at `own` brings back."""
    with socks.socksocket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.set_proxy(socks.SOCKS5, "127.0.0.1", own)
        sock.settimeout(1)
        for _ in range(10):
            sock.sendto(said, ("127.0.0.1", port))
            try:
                return sock.recvfrom(2048)[0]
            except TimeoutError:
                continue
    return b""


def test_a_quota_ends_in_the_middle_of_a_download(daemon):
    assert daemon.vpn("users", "add", "greedy", "--data-limit", str(LIMIT)).code == 0
    link = read_link(printed(daemon, "greedy", "chacha20-ietf-poly1305"))
    with tcp_server(pour) as port, ss_local(*link) as own:
        with open_tunnel(own, port) as tunnel:
            tunnel.sendall(b"?")  # ss-local waits for what the client has to say
            got = 0
            try:
                while data := tunnel.recv(256 * 1024):
                    got += len(data)
            except ConnectionResetError:
                pass
        assert 0 < got <= LIMIT + MIB  # what was on its way is gone
    used = json.loads(daemon.vpn("users", "usage", "greedy", "--format", "json").out)
    assert LIMIT <= used["used"] <= LIMIT + MIB


@pytest.mark.parametrize("method", [OLD[1], NEW[1]])
def test_codes_decode_to_the_link(daemon, tmp_path, method):
    link = printed(daemon, "alice", method)
    for kind in ("png", "svg"):
        file = tmp_path / f"code.{kind}"
        drawn = daemon.vpn("users", "qr", "alice", "--inbound", method, "--output", str(file))
        assert drawn.code == 0, drawn
        assert file.stat().st_mode & 0o077 == 0, "who has the picture has the key"
    command = [find_program("zbarimg"), "--quiet", "--raw", str(tmp_path / "code.png")]
    read = subprocess.run(command, capture_output=True, text=True, check=True)
    assert read.stdout.removesuffix("\n") == link
