"""A client's side of Shadowsocks over UDP, and a plane that serves it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from blake3 import blake3
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.support.plane import Plane
from vpn.domain.address import Endpoint
from vpn.domain.egress import Egress
from vpn.domain.inbound import Inbound
from vpn.domain.shadowsocks import METHODS, user_password
from vpn.protocols import socks_address
from vpn.protocols.shadowsocks_keys import master_key
from vpn.protocols.xchacha import cipher_of
from vpn.proxy import limits
from vpn.proxy.control import Snapshot, SnapshotUser
from vpn.proxy.entry import Entry
from vpn.proxy.packet_listener import PacketListener

SECRETS = {"alice": "a-secret-of-alice", "bob": "b-secret-of-bob"}
INBOUND_KEY = {16: "MDEyMzQ1Njc4OWFiY2RlZg==", 32: "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
"""By the size of the method's keys."""


def key_of(method: str) -> str:
    """The inbound's key, where the method has one."""
    return INBOUND_KEY[METHODS[method].key_size] if METHODS[method].identified else ""


def _ecb(key: bytes) -> Any:
    return Cipher(algorithms.AES(key), modes.ECB())


class PacketClient:
    """Seals what a client says, and opens what it hears: one session."""

    def __init__(self, method: str, secret: str, session: bytes | None = None, inbound: str = "") -> None:
        self.method = METHODS[method]
        self.key = master_key(self.method, user_password(self.method, secret))
        self.session = session or os.urandom(8)
        self.numbers = count()
        inbound = inbound or key_of(method)
        self.inbound_key = master_key(self.method, inbound) if inbound else b""
        self.server_sessions: list[bytes] = []
        self.server_numbers: list[int] = []

    def _aead(self, salt: bytes) -> AESGCM | ChaCha20Poly1305:
        size = self.method.key_size
        if self.method.edition == 1:
            made = HKDF(hashes.SHA1(), size, salt, b"ss-subkey").derive(self.key)
        else:
            made = blake3(self.key + salt, derive_key_context="shadowsocks 2022 session subkey").digest(size)
        return AESGCM(made) if self.method.cipher == "aes-gcm" else ChaCha20Poly1305(made)

    def seal(
        self,
        host: str,
        port: int,
        data: bytes,
        *,
        number: int | None = None,
        sent: float | None = None,
        kind: int = 0,
        padding: bytes = b"",
    ) -> bytes:
        """A client's datagram."""
        return self.seal_raw(
            socks_address.pack(host, port) + data, number=number, sent=sent, kind=kind, padding=padding
        )

    def seal_raw(
        self, held: bytes, *, number: int | None = None, sent: float | None = None, kind: int = 0, padding: bytes = b""
    ) -> bytes:
        """A datagram that holds this."""
        if self.method.edition == 1:
            salt = os.urandom(self.method.key_size)
            return salt + self._aead(salt).encrypt(bytes(12), held, None)
        number = next(self.numbers) if number is None else number
        moment = int(time.time() if sent is None else sent)
        header = self.session + number.to_bytes(8, "big")
        body = bytes([kind]) + moment.to_bytes(8, "big") + len(padding).to_bytes(2, "big") + padding + held
        if self.method.cipher != "aes-gcm":
            nonce = os.urandom(24)
            cipher, rest = cipher_of(self.key, nonce)
            return nonce + cipher.encrypt(rest, header + body, None)
        hashed = blake3(self.key).digest()[:16]
        masked = bytes(a ^ b for a, b in zip(hashed, header, strict=True))
        blocks = _ecb(self.inbound_key).encryptor().update(header + masked)
        return blocks + self._aead(self.session).encrypt(header[4:], body, None)

    def open(self, packet: bytes) -> tuple[str, int, bytes]:
        """Where an answer comes from, and what it is."""
        size = self.method.key_size
        if self.method.edition == 1:
            held = self._aead(packet[:size]).decrypt(bytes(12), packet[size:], None)
            return self._read(held)
        if self.method.cipher == "aes-gcm":
            header = _ecb(self.key).decryptor().update(packet[:16])
            body = self._aead(header[:8]).decrypt(header[4:], packet[16:], None)
        else:
            cipher, rest = cipher_of(self.key, packet[:24])
            held = cipher.decrypt(rest, packet[24:], None)
            header, body = held[:16], held[16:]
        assert body[0] == 1, "it is a server's"
        assert abs(int.from_bytes(body[1:9], "big") - time.time()) < 30
        assert body[9:17] == self.session
        self.server_sessions.append(header[:8])
        self.server_numbers.append(int.from_bytes(header[8:], "big"))
        return self._read(body[19 + int.from_bytes(body[17:19], "big") :])

    def _read(self, held: bytes) -> tuple[str, int, bytes]:
        host, port, end = socks_address.unpack(held)
        return host, port, held[end:]


def told(version: int = 2, secrets: dict[str, str] | None = None, blocked: str = "", **egress: Any) -> Snapshot:
    """A snapshot with these users' secrets; alice is blocked for this reason."""
    users = [
        SnapshotUser(name, 1, blocked if name == "alice" else "", shadowsocks=secret)
        for name, secret in (SECRETS if secrets is None else secrets).items()
    ]
    return Snapshot(version=version, users=users, egress=Egress(**{"private_destinations": True} | egress))


def entry_of(plane: Plane, port: int, method: str, **inbound: Any) -> Entry:
    """How a plane's Shadowsocks inbound is served."""
    made: dict[str, Any] = {"key": key_of(method)} | inbound
    served = Inbound("phones", "shadowsocks", Endpoint("127.0.0.1", port), method=method, **made)
    everything = plane.counters.column(limits.EVERYTHING, 0)
    return Entry(2, served, everything, plane.counters.column(2, served.max_connections))


def open_packets(plane: Plane, method: str, host: str = "127.0.0.1", **inbound: Any) -> PacketListener:
    """Serve Shadowsocks' datagrams in a plane, for `SECRETS`."""

    def make() -> PacketListener:
        plane.core.apply(told())
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind((host, 0))
        port = int(sock.getsockname()[1])
        listener = PacketListener(plane.core, sock, entry_of(plane, port, method, **inbound))
        plane.listeners.append(listener)  # type: ignore[arg-type] # it is closed like those
        return listener

    made: PacketListener = plane.do(make)
    return made


@contextmanager
def client_socket(listener: PacketListener, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A socket that says what a client says to this listener."""
    with socket.socket(listener.sock.family, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.settimeout(5)
        sock.connect(listener.sock.getsockname())
        yield sock
