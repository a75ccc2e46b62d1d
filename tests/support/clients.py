"""Clients of the proxy, byte by byte."""

from __future__ import annotations

import base64
import socket
import ssl
from types import TracebackType

from tests.support.plane import read_exactly
from vpn.domain.address import pack, unpack

CONNECT, BIND, ASSOCIATE = 1, 2, 3

Address = tuple[str, int]


def connect(port: int, source: str = "") -> socket.socket:
    """A connection to the proxy, perhaps from another address of loopback."""
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0) if source else None)


def socks_address(host: str, port: int) -> bytes:
    """ATYP ADDR PORT."""
    packed = pack(host)
    if packed is None:
        packed = bytes([len(host)]) + host.encode()
        kind = 3
    else:
        kind = 1 if len(packed) == 4 else 4
    return bytes([kind]) + packed + port.to_bytes(2, "big")


def socks5(command: int, host: str, port: int) -> bytes:
    """A request."""
    return bytes([5, command, 0]) + socks_address(host, port)


def socks4(command: int, host: str, port: int, user: bytes = b"") -> bytes:
    """A request; with a name as host one of 4a."""
    packed = pack(host)
    name = b""
    if packed is None:
        packed, name = b"\0\0\0\7", host.encode() + b"\0"
    return bytes([4, command]) + port.to_bytes(2, "big") + packed + user + b"\0" + name


def read_reply(client: socket.socket) -> tuple[int, Address]:
    """SOCKS5's reply: the code, and BND."""
    version, code, reserved, kind = read_exactly(client, 4)
    assert (version, reserved) == (5, 0)
    packed = read_exactly(client, {1: 4, 4: 16}[kind])
    return code, (unpack(packed), int.from_bytes(read_exactly(client, 2), "big"))


def read_reply4(client: socket.socket) -> tuple[int, Address]:
    """SOCKS4's reply: the code, and the address."""
    reply = read_exactly(client, 8)
    assert reply[0] == 0
    return reply[1], (unpack(reply[4:]), int.from_bytes(reply[2:4], "big"))


def greet(client: socket.socket) -> None:
    """SOCKS5 without credentials, up to the request."""
    client.sendall(b"\x05\x01\x00")
    assert read_exactly(client, 2) == b"\x05\x00"


def ask(client: socket.socket, command: int, host: str, port: int) -> tuple[int, Address]:
    """SOCKS5 without credentials, up to the reply."""
    greet(client)
    client.sendall(socks5(command, host, port))
    return read_reply(client)


def tunnel(proxy: int, port: int, host: str = "127.0.0.1") -> socket.socket:
    """A SOCKS5 tunnel without credentials."""
    client = connect(proxy)
    try:
        code, _ = ask(client, CONNECT, host, port)
        assert code == 0, code
    except BaseException:
        client.close()
        raise
    return client


def basic(user: str = "alice", password: str = "s3cret") -> bytes:
    """HTTP's credentials."""
    return b"Proxy-Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()) + b"\r\n"


def http_connect(port: int, host: str = "127.0.0.1", fields: bytes = b"") -> bytes:
    """A CONNECT request."""
    return f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n".encode() + fields + b"\r\n"


def read_head(client: socket.socket | TLSClient) -> bytes:
    """Up to the empty line, and not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = client.recv(1)
        assert piece, f"the stream ended within {head!r}"
        head += piece
    return head


def read_response(client: socket.socket) -> tuple[bytes, bytes]:
    """A response's head, and its body of Content-Length bytes."""
    head = read_head(client)
    lines = [line.partition(b": ") for line in head.lower().split(b"\r\n")]
    length = next((int(value) for name, _, value in lines if name == b"content-length"), 0)
    return head, read_exactly(client, length)


class TLSClient:
    """A client in TLS that can end its direction with close_notify and go on reading, or the other way round."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self.sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
        self._flush()

    def _flush(self) -> None:
        self.sock.sendall(self._outgoing.read())

    def _fill(self) -> None:
        data = self.sock.recv(65536)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def sendall(self, data: bytes) -> None:
        for at in range(0, len(data), 65536):
            self.tls.write(data[at : at + 65536])
            self._flush()

    def recv(self, most: int) -> bytes:
        """Read; empty at close_notify, and an ssl.SSLEOFError where the stream ends without it."""
        while True:
            try:
                return self.tls.read(most)
            except ssl.SSLWantReadError:
                self._fill()
            except ssl.SSLZeroReturnError:
                return b""

    def end(self) -> None:
        """close_notify, and nothing else: no FIN."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        self._flush()

    def __enter__(self) -> TLSClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.sock.close()


def tls(port: int, context: ssl.SSLContext) -> TLSClient:
    """A connection to a TLS inbound."""
    sock = connect(port)
    try:
        return TLSClient(sock, context)
    except BaseException:
        sock.close()
        raise
