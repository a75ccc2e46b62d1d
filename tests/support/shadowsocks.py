"""A data plane with a Shadowsocks inbound, its users and their clients."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.plane import Plane, running_plane
from tests.support.shadowsocks_client import ShadowsocksClient
from vpn.domain import shadowsocks
from vpn.domain.egress import Egress
from vpn.domain.inbound import Timeouts
from vpn.proxy.control import Snapshot, SnapshotUser

QUICK = Timeouts(handshake=0.3, connect=5, idle=30)


def inbound_key(method: str) -> str:
    """The inbound's key in tests."""
    return base64.b64encode(b"i" * shadowsocks.METHODS[method].key_size).decode()


def password(method: str, user: str = "alice") -> str:
    """What the settings of a user's client have as password."""
    return shadowsocks.client_password(shadowsocks.METHODS[method], inbound_key(method), f"secret of {user}")


def users(*names: str, **blocked: str) -> list[SnapshotUser]:
    """Users with secrets, some of them blocked."""
    known = dict.fromkeys(names, "") | blocked
    return [SnapshotUser(name, 1, why, shadowsocks=f"secret of {name}") for name, why in known.items()]


def client(method: str, user: str = "alice", **options: Any) -> ShadowsocksClient:
    """A user's client."""
    return ShadowsocksClient(method, password(method, user), **options)


def tell(plane: Plane, known: list[SnapshotUser], version: int = 2) -> None:
    """Let the plane work from these users."""
    snapshot = Snapshot(version, known, Egress(private_destinations=True))
    plane.do(lambda: plane.core.apply(snapshot) or True)


@contextmanager
def shadowsocks_plane(method: str, *known: SnapshotUser, **inbound: Any) -> Iterator[Plane]:
    """A plane with a Shadowsocks inbound, for alice and bob unless other users are given."""
    fields = {"protocol": "shadowsocks", "method": method, "key": inbound_key(method)} | inbound
    with running_plane(**fields) as plane:
        tell(plane, list(known) or users("alice", "bob"))
        yield plane


def receive(sock: socket.socket, shadowsocks_client: ShadowsocksClient, count: int) -> bytes:
    """So many bytes, opened, or an AssertionError at the end of the stream."""
    opened = b""
    while len(opened) < count:
        data = sock.recv(65536)
        assert data, f"the stream ended after {len(opened)} bytes"
        opened += shadowsocks_client.receive(data)
    return opened


def receive_all(sock: socket.socket, shadowsocks_client: ShadowsocksClient) -> bytes:
    """Everything up to the end of the stream, opened."""
    opened = b""
    while data := sock.recv(1 << 20):
        opened += shadowsocks_client.receive(data)
    assert not shadowsocks_client.truncated
    return opened
