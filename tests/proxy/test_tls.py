"""TLS streams in a plane's tunnels, against Python's own TLS client."""

import contextlib
import hashlib
import os
import socket
import ssl
import struct
import threading
from contextlib import contextmanager

import pytest

from tests.support.plane import read_all, read_exactly, running_plane
from tests.support.servers import after_the_end, echo, hold, reset, tcp_server
from tests.support.web import basic, origin, read_head, read_message, request
from vpn.domain.address import Endpoint
from vpn.domain.egress import Upstream
from vpn.domain.errors import Invalid
from vpn.domain.inbound import TLS
from vpn.proxy import tls as module
from vpn.proxy.meter import STOP
from vpn.proxy.poller import EDGE, READ, WRITE, Poller
from vpn.proxy.tls import Certificates, TLSStream, client_context, server_context

MIB = 1024 * 1024
RESET = struct.pack("ii", 1, 0)


def settings(files, **fields):
    return TLS(certificate=str(files.certificate), key=str(files.key), **fields)


@pytest.fixture(params=["1.2", "1.3"])
def version(request):
    return {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[request.param]


@pytest.fixture
def secure(files):
    with running_plane(tls=settings(files)) as plane:
        yield plane


def context(issuer, version=None):
    made = ssl.create_default_context(cafile=issuer.file)
    if version is not None:
        made.minimum_version = made.maximum_version = version
    return made


@contextmanager
def connected(plane, issuer, version=None):
    with plane.connect() as plain, context(issuer, version).wrap_socket(plain, server_hostname="localhost") as client:
        yield client


def tunnel(client, port):
    client.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % port + basic() + b"\r\n")
    assert read_head(client).startswith(b"HTTP/1.1 200 ")


class HalfClosing:
    """A TLS client that can say that it is done and read on, as Python's sockets cannot."""

    def __init__(self, sock, made):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = made.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.unread = b""
        self.clean = False
        """Whether the other side said that it was done."""
        self._do(self.tls.do_handshake)

    def _do(self, act):
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            finally:
                self.flush()

    def flush(self):
        if data := self.outgoing.read():
            self.sock.sendall(data)

    def sendall(self, data):
        for at in range(0, len(data), 16384):
            self.tls.write(data[at : at + 16384])
            self.flush()

    def recv(self, most):
        if self.unread:
            data, self.unread = self.unread[:most], self.unread[most:]
            return data
        try:
            data = self._do(lambda: self.tls.read(most))
        except ssl.SSLZeroReturnError:
            data = b""
        except ssl.SSLEOFError:
            return b""
        self.clean = not data
        return data

    def done(self):
        try:  # OpenSSL would throw away what it has not been asked for
            while data := self.tls.read(65536):
                self.unread += data
        except ssl.SSLWantReadError:
            pass
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        self.flush()


@contextmanager
def half_closing(plane, issuer, version=None):
    with plane.connect() as plain:
        plain.settimeout(10)
        yield HalfClosing(plain, context(issuer, version))


# --- tunnels


@pytest.mark.parametrize("way", ["up", "down"])
def test_where_nothing_may_go_a_tunnel_stands_still_and_goes_on_when_something_may(secure, issuer, way):
    """Also of what has been decrypted, of which no event tells."""
    payload = os.urandom(MIB)
    secure.limit(**{way: 1})
    with tcp_server(echo) as port, half_closing(secure, issuer) as client:
        tunnel(client, port)
        sender = threading.Thread(target=client.sendall, args=(payload[: 128 * 1024],))
        sender.start()
        secure.until(lambda: secure.hungry > 0)
        assert 0 < secure.moved()[way == "down"] <= 16 * 1024
        sender.join(10)
        secure.limit(**{way: 8 * MIB})
        client.sendall(payload[128 * 1024 :])
        received = b""
        while len(received) < len(payload):
            received += client.recv(65536)
    assert received == payload


def test_a_quota_ends_to_the_byte_in_tls_too(secure, issuer):
    cell = secure.meter.order(0) + STOP
    with tcp_server(hold) as port, half_closing(secure, issuer) as client:
        tunnel(client, port)
        secure.do(lambda: secure.meter.cells.__setitem__(cell, 300_000) or True)
        with contextlib.suppress(OSError):
            client.sendall(bytes(MIB))
        assert secure.ended()[0].reason == "over_quota"
    assert secure.moved()[0] == 300_000


def test_both_ways_at_once_bit_for_bit(secure, issuer, version):
    """A client that writes all before it reads: every buffer on the way is full in between."""
    payload = os.urandom(16 * MIB)
    with tcp_server(echo) as port, half_closing(secure, issuer, version) as client:
        tunnel(client, port)
        received = []

        def read():
            while data := client.sock.recv(65536):
                received.append(data)

        encrypted = []
        for at in range(0, len(payload), 16384):
            client.tls.write(payload[at : at + 16384])
            encrypted.append(client.outgoing.read())
        reader = threading.Thread(target=read)
        reader.start()
        for piece in encrypted:
            client.sock.sendall(piece)
        client.done()
        client.sock.shutdown(socket.SHUT_WR)
        reader.join(20)
        client.incoming.write(b"".join(received))
        client.incoming.write_eof()
        digest = hashlib.sha256()
        while data := client.recv(65536):
            digest.update(data)
    assert digest.digest() == hashlib.sha256(payload).digest()
    assert client.clean
    (session,) = secure.ended()
    assert (session.reason, session.bytes_sent, session.bytes_received) == ("eof", len(payload), len(payload))


def test_the_client_is_done_first(secure, issuer, version):
    with tcp_server(after_the_end) as port, half_closing(secure, issuer, version) as client:
        tunnel(client, port)
        client.sendall(bytes(8 * MIB))
        client.done()
        answer = read_all(client)
        assert int.from_bytes(answer[:8], "big") == 8 * MIB
        assert len(answer) == 8 + MIB
        assert client.clean
    assert secure.ended()[0].reason == "eof"


def test_the_destination_is_done_first_while_the_client_is_still_sending(secure, issuer, version):
    received = []

    def serve(connection):
        connection.sendall(b"hello")
        connection.shutdown(socket.SHUT_WR)
        received.append(read_all(connection))

    with tcp_server(serve) as port, half_closing(secure, issuer, version) as client:
        tunnel(client, port)
        client.sendall(b"a" * MIB)
        assert read_all(client) == b"hello"
        assert client.clean
        client.sendall(b"b" * MIB)
        client.done()
        secure.ended()
    assert received == [b"a" * MIB + b"b" * MIB]


def test_tiny_writes(secure, issuer, version):
    with tcp_server(echo) as port, connected(secure, issuer, version) as client:
        tunnel(client, port)
        client.sendall(b"")
        for at in range(2000):
            client.sendall(bytes([at % 256]))
        assert read_exactly(client, 2000) == bytes(at % 256 for at in range(2000))


def test_everything_in_one_segment(secure, issuer):
    with tcp_server(echo) as port, half_closing(secure, issuer) as client:
        client.tls.write(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % port + basic() + b"\r\n")
        client.tls.write(b"early" * 10_000)
        client.done()
        assert read_head(client).startswith(b"HTTP/1.1 200 ")
        assert read_all(client) == b"early" * 10_000
        assert client.clean


def test_a_client_that_does_not_read_holds_the_destination_back(secure, issuer, version):
    payload = os.urandom(16 * MIB)
    full = threading.Event()

    def serve(connection):
        connection.settimeout(0.3)
        sent = 0
        try:
            while sent < len(payload):
                sent += connection.send(payload[sent : sent + 65536])
        except TimeoutError:
            full.set()
        connection.settimeout(10)
        connection.sendall(payload[sent:])

    with tcp_server(serve) as port, half_closing(secure, issuer, version) as client:
        tunnel(client, port)
        assert full.wait(10)
        held = secure.do(
            lambda: [
                (len(each._down.pending), len(each._down.sink._backlog), each._down.sink._outgoing.pending)
                for each in secure.core.connections
            ]
        )
        assert all(size <= MIB for sizes in held for size in sizes)
        client.done()
        received = b"".join(iter(lambda: client.recv(1 << 20), b""))
        assert received == payload
        assert client.clean, "also where there was no room for the last word at first"


def test_a_destination_that_does_not_read_holds_the_client_back(secure, issuer):
    with tcp_server(hold) as port, connected(secure, issuer) as client:
        tunnel(client, port)
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                client.sendall(bytes(MIB))
        held = secure.do(
            lambda: [
                (len(each._up.pending), len(each._up.source._read), each._up.source._incoming.pending)
                for each in secure.core.connections
            ]
        )
        assert all(size <= MIB for sizes in held for size in sizes)


def test_a_reset_of_the_destination_is_no_clean_end(secure, issuer, version):
    with tcp_server(reset) as port, half_closing(secure, issuer, version) as client:
        tunnel(client, port)
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            read_all(client)
        assert not client.clean
    assert secure.ended()[0].reason == "reset"


def test_a_reset_of_the_client_is_no_clean_end(secure, issuer):
    seen = []

    def serve(connection):
        try:
            seen.append(read_all(connection))
        except ConnectionResetError:
            seen.append("reset")

    with tcp_server(serve) as port:
        with connected(secure, issuer) as client:
            tunnel(client, port)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        secure.until(lambda: seen == ["reset"])


def test_bytes_that_are_no_tls_in_the_middle_of_a_tunnel(secure, issuer):
    with tcp_server(hold) as port, half_closing(secure, issuer) as client:
        tunnel(client, port)
        client.sock.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        with pytest.raises(ConnectionResetError):
            while client.sock.recv(65536):
                pass
    assert secure.ended()[0].reason == "reset"


def test_a_refusal_is_read_to_its_end(secure, issuer, version):
    with half_closing(secure, issuer, version) as client:
        client.sendall(b"NONSENSE\r\n" + bytes(MIB))
        assert read_all(client).startswith(b"HTTP/1.1 400 ")
        assert client.clean


def test_requests_that_are_forwarded(secure, issuer, version):
    payload = os.urandom(2 * MIB)
    with origin() as server, connected(secure, issuer, version) as client:
        for _ in range(3):
            client.sendall(request(server.port, "POST", body=payload))
            assert read_message(client)[1] == b"/ " + payload
    assert server.connections == 1


# --- a stream by itself


@pytest.fixture
def pair(issuer, files):
    """Our stream as a server, its far end, and the client in the far end's hands."""
    errors = []
    poller = Poller(errors.append)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname(), timeout=5)
        near, _ = listener.accept()
    near.setblocking(False)
    stream = TLSStream(poller, near, server_context(settings(files)))
    poller.register(near.fileno(), lambda mask: None, READ | WRITE | EDGE)
    clients = []
    thread = threading.Thread(target=lambda: clients.append(HalfClosing(far, context(issuer))))
    thread.start()
    while stream.compute() is not None:
        stream.flush()
        poller.turn(1)
        try:
            stream.receive()
        except BlockingIOError:
            pass
    stream.flush()
    thread.join(5)
    yield poller, stream, clients[0]
    near.close()
    far.close()
    assert errors == []


def test_what_is_sent_again_after_a_full_buffer_is_sent_once(pair):
    _, stream, client = pair
    payload = os.urandom(32 * MIB)
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            sent += stream.send(memoryview(payload)[sent : sent + 300_000])
    got = bytearray()
    while len(got) < len(payload):
        got += client.recv(65536)
        try:
            while sent < len(payload):
                sent += stream.send(payload[sent : sent + 300_000])
        except BlockingIOError:
            pass
    assert got == payload


def test_the_last_word_is_said_though_there_is_no_room_for_it_at_first(pair):
    poller, stream, client = pair
    payload = bytes(300_000)
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            sent += stream.send(payload)
    stream.shutdown(socket.SHUT_WR)
    poller.close(stream)
    poller.turn(0)
    received = []
    reader = threading.Thread(target=lambda: received.append(read_all(client)))
    reader.start()
    while reader.is_alive():
        poller.turn(0.05)
    assert client.clean
    assert len(received[0]) >= sent
    assert stream.fileno() < 0


def receive(poller, stream, most):
    for _ in range(100):
        try:
            return stream.recv(most)
        except BlockingIOError:
            poller.turn(0.05)
    raise AssertionError("nothing came")


def test_what_comes_in_pieces_around_our_end_is_read(pair):
    """A record that is cut in two, with our last word in between."""
    poller, stream, client = pair
    client.tls.write(b"one")
    client.tls.write(b"two")
    encrypted = client.outgoing.read()
    client.sock.sendall(encrypted[:-3])
    assert receive(poller, stream, 3) == b"one"
    with pytest.raises(BlockingIOError):
        stream.recv(3)
    stream.shutdown(socket.SHUT_WR)
    client.sock.sendall(encrypted[-3:])
    assert receive(poller, stream, 3) == b"two"
    assert client.recv(1) == b""
    assert client.clean


def test_what_was_decrypted_and_not_asked_for_survives_our_end(pair):
    poller, stream, client = pair
    client.sendall(b"x" * 40_000)
    poller.turn(1)
    while stream._incoming.pending < 40_000:
        with contextlib.suppress(BlockingIOError):
            stream.receive()
    assert stream.recv(1) == b"x"
    stream.shutdown(socket.SHUT_WR)
    assert stream.recv(50_000) == b"x" * 39_999


def test_who_does_not_read_is_not_waited_for_without_end(pair, monkeypatch):
    poller, stream, _ = pair
    monkeypatch.setattr(module, "LAST_WAIT", 0.001)
    with pytest.raises(BlockingIOError):
        while True:
            stream.send(bytes(300_000))
    poller.close(stream)
    for _ in range(module.LAST_TRIES + 10):
        poller.turn(0.1)
    assert stream.fileno() < 0


def test_closing_twice_is_closing_once(pair):
    poller, stream, client = pair
    poller.close(stream)
    poller.close(stream)
    poller.turn(0)
    assert client.recv(1) == b""
    assert client.clean


def test_a_stream_that_is_to_be_reset_says_nothing(pair):
    poller, stream, client = pair
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    poller.close(stream)
    poller.turn(0)
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_the_end_of_a_stream_stays_the_end(pair):
    poller, stream, client = pair
    client.sendall(b"abc")
    client.done()
    client.sock.shutdown(socket.SHUT_WR)
    assert receive(poller, stream, 100) == b"abc"
    assert [receive(poller, stream, 100) for _ in range(3)] == [b""] * 3
    assert stream.send(b"still") == 5
    assert client.recv(10) == b"still"


# --- contexts and certificates


@pytest.mark.parametrize(
    ("broken", "how"),
    [
        *((broken, how) for broken in ("certificate", "key", "client_ca") for how in ("missing", "garbage")),
        ("certificate", "another's"),
        ("key", "another's"),
    ],
)
def test_bad_files_are_named(tmp_path, issuer, files, broken, how):
    path = tmp_path / "bad.pem"
    if how == "garbage":
        path.write_text("nothing of the kind")
    elif how == "another's":
        path.write_bytes(getattr(issuer.issue("other"), broken).read_bytes())
    names = {"certificate": str(files.certificate), "key": str(files.key), broken: str(path)}
    with pytest.raises(Invalid, match="TLS cannot be set up") as caught:
        server_context(TLS(**names))
    assert str(path) in caught.value.message


def test_an_upstreams_authority_must_be_a_file(tmp_path):
    upstream = Upstream(name="a", protocol="https", address=Endpoint("a.test", 1), ca=str(tmp_path / "none.pem"))
    with pytest.raises(Invalid, match=r"upstream a: .*none\.pem"):
        client_context(upstream)


def test_old_versions_are_refused(secure, issuer, files):
    secure.amend(tls=settings(files, minimum_version="1.3"))
    with secure.connect() as plain, pytest.raises(ssl.SSLError):
        context(issuer, ssl.TLSVersion.TLSv1_2).wrap_socket(plain, server_hostname="localhost")
    assert secure.ended()[0].reason == "tls_handshake_failed"


def test_alpn(secure, issuer, files):
    secure.amend(tls=settings(files, alpn=("h2", "http/1.1")))
    made = context(issuer)
    made.set_alpn_protocols(["http/1.1"])
    with secure.connect() as plain, made.wrap_socket(plain, server_hostname="localhost") as client:
        assert client.selected_alpn_protocol() == "http/1.1"


@pytest.fixture
def watched(tmp_path, files, monkeypatch):
    """Certificates whose files can be replaced."""
    monkeypatch.setattr(module, "WATCH", 0.01)
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    certificate.write_bytes(files.certificate.read_bytes())
    key.write_bytes(files.key.read_bytes())
    poller, complaints = Poller(pytest.fail), []
    certificates = Certificates(poller, TLS(certificate=str(certificate), key=str(key)), complaints.append)
    yield poller, certificates, complaints, certificate, key
    certificates.close()
    poller.turn(0.02)
    assert not any(timer.callback for _, _, timer in poller._timers), "nothing is watched any more"


def look(poller, times=5):
    for _ in range(times):
        poller.turn(0.05)


def test_a_renewed_certificate_is_used_without_a_restart(watched, issuer):
    poller, certificates, complaints, certificate, key = watched
    before = certificates.context
    look(poller)
    assert certificates.context is before
    renewed = issuer.issue("renewed")
    certificate.write_bytes(renewed.certificate.read_bytes())
    look(poller)
    assert certificates.context is before, "the key does not belong to it yet"
    key.write_bytes(renewed.key.read_bytes())
    look(poller)
    assert certificates.context is not before
    assert len(complaints) == 1


def test_a_bad_certificate_is_told_once_and_the_old_one_stays(watched, files):
    poller, certificates, complaints, certificate, _ = watched
    before = certificates.context
    certificate.write_text("nonsense")
    look(poller, 10)
    certificate.unlink()
    look(poller, 10)
    assert [error.code for error in complaints] == ["bad_certificate"] * 2
    assert certificates.context is before
    certificate.write_bytes(files.certificate.read_bytes())
    look(poller)
    assert certificates.context is not before
    assert len(complaints) == 2
