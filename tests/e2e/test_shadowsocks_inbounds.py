"""Inbounds of Shadowsocks, managed and of the settings, and other people's clients through the real daemon."""

import contextlib
import json

import pytest

from tests.support.daemon import running_daemon
from tests.support.plane import read_exactly
from tests.support.servers import echo, tcp_server, unused_port
from tests.support.shadowsocks_programs import open_tunnel, sing_box, ss_local
from vpn.domain.shadowsocks import METHODS
from vpn.links.shadowsocks import parse

SETTINGS = {"VPN_PROXY__WORKERS": "2"}
CONFIG = "proxy: {{inbounds: {{phones: {{protocol: shadowsocks, listen: '127.0.0.1:{}', method: {}}}}}}}\n"


@pytest.fixture(scope="module")
def echo_port():
    with tcp_server(echo) as port:
        yield port


def password(daemon, inbound, user="alice"):
    """What a user's client needs, as the link says it."""
    shown = daemon.vpn("users", "link", user, "--inbound", inbound)
    assert shown.code == 0, shown
    return parse(shown.out.strip()).password


@contextlib.contextmanager
def client_of(daemon, tmp_path, port, inbound, method):
    """A client of alice's, as a SOCKS5 proxy; yields its port."""
    said = password(daemon, inbound)
    old = METHODS[method].edition == 1
    with ss_local(method, said, port) if old else sing_box(method, said, port, tmp_path) as own:
        yield own


def is_reached(daemon, tmp_path, port, echo_port, method, inbound="phones"):
    with client_of(daemon, tmp_path, port, inbound, method) as own, open_tunnel(own, echo_port) as tunnel:
        tunnel.sendall(b"echo")
        return read_exactly(tunnel, 4) == b"echo"


def test_a_managed_one_changes_its_cipher_and_its_key(data_dir, tmp_path, echo_port):
    with running_daemon(data_dir, **SETTINGS) as daemon:
        daemon.add_user("alice")
        added = daemon.vpn("inbounds", "add", "shadowsocks", "--name", "phones", "--listen", "127.0.0.1:0")
        assert added.out.startswith("Added phones: chacha20-ietf-poly1305 on 127.0.0.1:"), added
        port = int(added.out.splitlines()[0].rpartition(":")[2].rstrip("."))
        reached = (daemon, tmp_path, port, echo_port)
        assert is_reached(*reached, "chacha20-ietf-poly1305")
        for method in ("aes-256-gcm", "2022-blake3-aes-128-gcm", "2022-blake3-chacha20-poly1305"):
            assert daemon.vpn("inbounds", "edit", "phones", "--method", method).code == 0
            assert is_reached(*reached, method)
        edited = daemon.vpn("inbounds", "edit", "phones", "--clear", "method", "--set", "protocol=socks")
        assert edited.code == 0, edited
        assert daemon.vpn("inbounds", "edit", "phones", "--set", "protocol=shadowsocks").code == 0
        assert is_reached(*reached, "chacha20-ietf-poly1305")
        daemon.add_user("bob")  # who comes later has a secret, too
        assert password(daemon, "phones", "bob")
        assert "worker" not in "".join(line for line in daemon.err.splitlines() if '"level": "error"' in line)


def test_a_key_is_replaced_at_once(data_dir, tmp_path, echo_port):
    method, key = "2022-blake3-aes-128-gcm", "AAAAAAAAAAAAAAAAAAAAAA=="
    with running_daemon(data_dir, **SETTINGS) as daemon:
        daemon.add_user("alice")
        arguments = ("--name", "phones", "--listen", "127.0.0.1:0", "--method", method, "--format", "json")
        added = json.loads(daemon.vpn("inbounds", "add", "shadowsocks", *arguments).out)
        port = int(added["listen"].rpartition(":")[2])
        with client_of(daemon, tmp_path, port, "phones", method) as own, open_tunnel(own, echo_port) as tunnel:
            assert daemon.vpn("inbounds", "edit", "phones", "--key", key).code == 0
            assert password(daemon, "phones").startswith(f"{key}:")
            tunnel.sendall(b"stays")
            assert read_exactly(tunnel, 5) == b"stays"
        assert is_reached(daemon, tmp_path, port, echo_port, method)
        assert key not in daemon.err
        assert key not in daemon.out


def test_one_of_the_settings_keeps_its_key(data_dir, tmp_path, echo_port):
    port, method, another = unused_port(), "2022-blake3-aes-256-gcm", "aes-128-gcm"
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(port, method))
    with running_daemon(data_dir, "--config", str(config), **SETTINGS) as daemon:
        daemon.add_user("alice")
        daemon.wait_for(rf"Shadowsocks server +127\.0\.0\.1:{port}\n")
        assert is_reached(daemon, tmp_path, port, echo_port, method)
        before = password(daemon, "phones")
    with running_daemon(data_dir, "--config", str(config), **SETTINGS) as daemon:
        assert password(daemon, "phones") == before
        assert is_reached(daemon, tmp_path, port, echo_port, method)
        config.write_text(CONFIG.format(port, another))
        assert daemon.vpn("reload").out == "Inbounds: changed phones.\n"
        assert is_reached(daemon, tmp_path, port, echo_port, another)
        config.write_text(CONFIG.format(port, "aes-128-cfb"))
        wrong = daemon.vpn("reload")
        assert wrong.code == 3
        assert "proxy.inbounds.phones.method cannot be 'aes-128-cfb'" in wrong.err
        assert "did you mean aes-128-gcm?" in wrong.err
        config.write_text("proxy: {}\n")
        assert daemon.vpn("reload").out == "Inbounds: removed phones.\n"
        assert json.loads(daemon.vpn("status", "--format", "json").out)["status"] == "ok"
