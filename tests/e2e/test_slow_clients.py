"""Clients that send garbage, little, or nothing."""

import os
import socket
import time
from pathlib import Path

import pytest

from tests.support.curl import curl
from tests.support.daemon import running_daemon


def descriptors(daemon):
    """Open files of all workers together."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in daemon.workers())


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("slow") / "data"
    with running_daemon(data_dir, VPN_PROXY__HANDSHAKE_TIMEOUT="3", VPN_PROXY__WORKERS="2") as running:
        running.add_user("alice")
        yield running


def until(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def test_a_thousand_slow_clients_do_not_stop_a_good_one_and_cost_nothing_after(daemon, web):
    before = descriptors(daemon)
    openings = [b"", b"\x05", b"\x05\x01\x02", b"\x05\x01\x02\x01\x05al", b"CONN", b"CONNECT x:1 HTTP/1.1\r\nA: b\r\n"]
    clients = []
    for number in range(1000):
        client = socket.create_connection(("127.0.0.1", daemon.port), timeout=10)
        client.sendall(openings[number % len(openings)])
        clients.append(client)
    until(lambda: descriptors(daemon) >= before + 1000)

    good = curl("-x", f"socks5h://alice:s3cret@127.0.0.1:{daemon.port}", f"http://127.0.0.1:{web}/")
    assert good.out == "hello /"
    assert descriptors(daemon) >= before + 1000, "the slow ones were all there meanwhile"

    # One of them goes on dripping; that buys no time.
    dripping = clients[5]
    with pytest.raises(OSError):  # noqa: PT011 -- reset or broken pipe
        while True:
            dripping.sendall(b"C: d\r\n")
            time.sleep(0.02)
    until(lambda: descriptors(daemon) <= before)
    for client in clients:
        client.close()
    assert daemon.vpn("status").code == 0


def test_garbage_is_dropped_at_once(daemon, web):
    before = descriptors(daemon)
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as client:
            client.sendall(b"\x00" + os.urandom(1000))
            try:
                assert client.recv(100) == b""
            except ConnectionResetError:
                pass
    until(lambda: descriptors(daemon) <= before)
    good = curl("-x", f"http://alice:s3cret@127.0.0.1:{daemon.port}", "-p", f"http://127.0.0.1:{web}/")
    assert good.out == "hello /"
    assert "defect" not in daemon.err
