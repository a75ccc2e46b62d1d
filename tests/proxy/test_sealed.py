"""The stream by itself, over a pair of sockets; what relays make of it is in test_unsealing.py."""

import socket
import time

import pytest

from tests.support.shadowsocks import client
from tests.support.shadowsocks_client import METHODS
from vpn.domain.shadowsocks import METHODS as KNOWN
from vpn.domain.shadowsocks import user_password
from vpn.protocols.shadowsocks_chunks import Sealer
from vpn.protocols.shadowsocks_header import begin, needed
from vpn.protocols.shadowsocks_keys import master_key
from vpn.proxy.sealed import LEAST, SealedStream
from vpn.proxy.shadowsocks import SCRATCH

METHOD = "aes-256-gcm"


class Pair:
    """A stream, and the client at its other end."""

    def __init__(self, name):
        method = KNOWN[name]
        key = master_key(method, user_password(method, "secret of alice"))
        self.client = client(name)
        request = self.client.request("a", 1, b"x")
        begun = begin(method, key, request, time.time())
        ours, self.sock = socket.socketpair()
        sock = socket.SocketType(fileno=ours.detach())
        sealer = Sealer(method, key, bytes(method.key_size), self.client.salt)
        scratch = memoryview(bytearray(SCRATCH))
        self.stream = SealedStream(sock, begun.opener, sealer, scratch, request[needed(method) :], drained=True)
        assert self.stream.unread
        assert self.stream.recv(100).endswith(b"x")
        assert not self.stream.unread

    def close(self):
        self.stream.close()
        self.sock.close()


@pytest.fixture(params=METHODS)
def pair(request):
    pair = Pair(request.param)
    yield pair
    pair.close()


@pytest.fixture
def one():
    pair = Pair(METHOD)
    yield pair
    pair.close()


def test_what_is_sent_arrives(pair):
    pair.sock.sendall(pair.client.send(b"hello") + pair.client.send(b" world"))
    buffer = bytearray(100)
    assert pair.stream.recv_into(buffer) == 11
    assert buffer[:11] == b"hello world"
    assert pair.stream.send(b"answer") == 6
    assert pair.client.receive(pair.sock.recv(1000)) == b"answer"


def test_a_chunk_that_is_larger_than_what_is_asked_for(pair):
    pair.sock.sendall(pair.client.send(bytes(range(100))))
    assert pair.stream.recv(30) == bytes(range(30))
    assert pair.stream.unread
    buffer = bytearray(200)
    assert pair.stream.recv_into(buffer, 50) == 50
    assert buffer[:51] == bytes(range(30, 80)) + b"\0"
    assert pair.stream.recv(100) == bytes(range(80, 100))
    assert not pair.stream.unread
    with pytest.raises(BlockingIOError):
        pair.stream.recv(100)


def test_chunks_that_come_in_parts(pair):
    sealed = pair.client.send(b"hello")
    for at in range(len(sealed) - 1):
        pair.sock.sendall(sealed[at : at + 1])
        with pytest.raises(BlockingIOError):
            pair.stream.recv(100)
        assert not pair.stream.unread
    pair.sock.sendall(sealed[-1:])
    assert pair.stream.recv(100) == b"hello"


def test_it_tells_that_there_is_more(one):
    one.sock.sendall(one.client.send(bytes(LEAST * 3), 100))
    total = 0
    while one.stream.unread or not total:
        total += len(one.stream.recv(200))
    assert total == LEAST * 3


def test_the_end(pair):
    pair.sock.sendall(pair.client.send(b"hello"))
    pair.sock.shutdown(socket.SHUT_WR)
    assert pair.stream.recv(100) == b"hello"
    assert pair.stream.recv(100) == b""
    assert pair.stream.send(b"still here") == 10
    pair.stream.shutdown(socket.SHUT_WR)
    assert pair.client.receive(pair.sock.recv(1000)) == b"still here"
    assert pair.sock.recv(1) == b""


@pytest.mark.parametrize("cut", [1, 17, 18, 30])
def test_an_end_in_the_middle_of_a_chunk_is_none(pair, cut):
    pair.sock.sendall(pair.client.send(b"some twenty bytes ..")[:cut])
    pair.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionResetError):
        pair.stream.recv(100)


def test_what_was_changed_is_not_taken(pair):
    sealed = bytearray(pair.client.send(b"hello"))
    sealed[-1] ^= 1
    pair.sock.sendall(sealed)
    with pytest.raises(ConnectionResetError):
        pair.stream.recv(100)


def test_what_the_socket_does_not_take_is_given_again_in_the_end(pair):
    data = bytes(range(256)) * 1024
    sent, received, given = 0, b"", b""
    pair.sock.setblocking(False)
    while len(received) < 4 * len(data):
        if given or sent < 4 * len(data):
            given = given or data
            try:
                taken = pair.stream.send(given)
            except BlockingIOError:
                taken = 0
            sent += taken
            given = given[taken:]
            assert len(given) in (0, 1)
        try:
            received += pair.client.receive(pair.sock.recv(50_000))
        except BlockingIOError:
            continue
    assert received == 4 * data
    assert sent == 4 * len(data)


def test_a_single_byte_that_the_socket_does_not_take_is_not_taken(one):
    with pytest.raises(BlockingIOError):
        while True:
            assert one.stream.send(b"x") == 1
    with pytest.raises(BlockingIOError):
        one.stream.send(b"x")
    count = 0
    one.sock.setblocking(False)
    while True:
        try:
            count += len(one.client.receive(one.sock.recv(1 << 20)))
        except BlockingIOError:
            break
    assert one.stream.send(b"x") == 1
    assert one.client.receive(one.sock.recv(1000)) in (b"x", b"xx")
    assert count


def test_the_socket_behind_it(one):
    assert one.stream.fileno() >= 0
    one.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
    assert one.stream.getsockname() == ""
