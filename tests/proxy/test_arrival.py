"""What comes before the handshake: load balancers and TLS."""

import socket
import ssl
import threading

import pytest

from tests.support.certificates import Authority
from tests.support.plane import login, read_all, read_exactly, running_plane, snapshot
from tests.support.servers import echo, tcp_server
from tests.support.web import basic, origin, read_head, read_message, request
from vpn.domain.inbound import TLS, Timeouts
from vpn.proxy import arrival
from vpn.proxy import tls as module
from vpn.proxy.arrival import Securing
from vpn.proxy.preface import Preface

V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1080\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x01\xdc\x04\x04\x38"
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"


@pytest.fixture(autouse=True)
def in_the_background(monkeypatch):
    """However cheap they are; tests/e2e/points/test_tls.py has handshakes that are computed at once."""
    monkeypatch.setattr(arrival, "COSTLY", -1.0)


def secure(files, **fields):
    return TLS(certificate=str(files.certificate), key=str(files.key), **fields)


@pytest.fixture
def balanced():
    with running_plane(trusted_proxies=("127.0.0.0/8",)) as plane:
        yield plane


def context(issuer, files=None):
    made = ssl.create_default_context(cafile=issuer.file)
    if files is not None:
        made.load_cert_chain(files.certificate, files.key)
    return made


def phases(plane, kind):
    return [each for each in plane.core.connections if isinstance(each, kind)]


def nothing_is_left(plane, more=0):
    plane.until(lambda: not plane.core.connections)
    plane.until(lambda: len(plane.poller._handlers) == 1 + len(plane.listeners) + more)
    assert [plane.counters.total(column) for column in (0, 1)] == [0, 0]


def connect(port, fields=None):
    return b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % port + (basic() if fields is None else fields) + b"\r\n"


# --- the PROXY protocol


@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_load_balancer_says_for_whom_it_comes(balanced, echo_port, header, size):
    said = header + connect(echo_port) + b"early"
    with balanced.connect() as client:
        for at in range(0, len(said), size):
            client.sendall(said[at : at + size])
        assert read_head(client).startswith(b"HTTP/1.1 200 ")
        assert read_exactly(client, 5) == b"early"
    (session,) = balanced.ended()
    assert (session.source_host, session.source_port) == ("203.0.113.7", 56324)
    nothing_is_left(balanced)


def test_all_that_comes_with_the_header_arrives(balanced, echo_port):
    early = bytes(range(256)) * 100
    with balanced.connect() as client:
        client.sendall(V1 + connect(echo_port) + early)
        assert read_head(client).startswith(b"HTTP/1.1 200 ")
        assert read_exactly(client, len(early)) == early


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", LOCAL])
def test_a_load_balancer_that_comes_for_itself(balanced, echo_port, header):
    with balanced.connect() as client:
        client.sendall(header + connect(echo_port))
        read_head(client)
        source = client.getsockname()
    (session,) = balanced.ended()
    assert (session.source_host, session.source_port) == source


def test_the_header_and_then_silence(balanced, echo_port):
    with balanced.connect() as client:
        client.sendall(V1)
        balanced.until(lambda: balanced.core.connections and not phases(balanced, Preface))
        login(client)
        client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + echo_port.to_bytes(2, "big"))
        assert read_exactly(client, 10)[1] == 0


def test_who_is_admitted_is_decided_by_the_address_in_the_header(balanced, echo_port):
    balanced.amend(trusted_proxies=("127.0.0.0/8",), open_to=("203.0.113.0/24",))
    for header, status in ((V1, b"200"), (V1.replace(b"203.0.113", b"198.51.100"), b"407")):
        with balanced.connect() as client:
            client.sendall(header + connect(echo_port, b""))
            assert read_head(client).split()[1] == status


@pytest.mark.parametrize("said", [b"\x05\x01\x02", b"GET / HTTP/1.1\r\n", b"PROXY TCP4 x\r\n"])
def test_without_a_header_nobody_gets_in_by_that_way(balanced, said):
    with balanced.connect() as client:
        client.sendall(said)
        assert client.recv(1) == b""
    assert balanced.ended()[0].status == "failed"
    nothing_is_left(balanced)


def test_others_may_not_say_who_they_are(plane, echo_port):
    plane.amend(trusted_proxies=("192.0.2.0/24",))
    with plane.connect() as client:
        client.sendall(V1 + connect(echo_port))
        assert read_head(client).startswith(b"HTTP/1.1 400 ")
        source = client.getsockname()
    assert plane.ended()[0].source_host == source[0]
    with plane.tunnel(echo_port):
        pass


@pytest.mark.parametrize("said", [b"", V1[:10], V2[:20]])
def test_a_load_balancer_that_stops_in_the_middle(balanced, said):
    balanced.amend(trusted_proxies=("127.0.0.0/8",), timeouts=Timeouts(handshake=0.3))
    with balanced.connect() as slow, balanced.connect() as gone:
        for client in (slow, gone):
            client.sendall(said)
        gone.shutdown(socket.SHUT_WR)
        assert gone.recv(1) == b""
        assert slow.recv(1) == b""
    assert {each.reason for each in balanced.ended(2)} <= {"client_closed", "handshake_timeout"}
    nothing_is_left(balanced)


# --- TLS


@pytest.mark.parametrize("together", [True, False])
def test_tls_behind_a_header(issuer, files, echo_port, together):
    with running_plane(trusted_proxies=("127.0.0.0/8",), tls=secure(files)) as plane:
        with plane.connect() as plain:
            hello, answers = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = context(issuer).wrap_bio(answers, hello, server_hostname="localhost")
            with pytest.raises(ssl.SSLWantReadError):
                client.do_handshake()
            if together:
                plain.sendall(V2 + hello.read())
            else:
                plain.sendall(V2)
                plane.until(lambda: bool(phases(plane, Securing)))
                for byte in hello.read():
                    plain.sendall(bytes([byte]))
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    answers.write(plain.recv(65536))
            client.write(connect(echo_port) + b"early")
            plain.sendall(hello.read())
            got = b""
            while not got.endswith(b"\r\n\r\nearly"):
                try:
                    got += client.read(1000)
                except ssl.SSLWantReadError:
                    answers.write(plain.recv(65536))
        assert plane.ended()[0].source_host == "203.0.113.7"
        nothing_is_left(plane, 1)  # the background's


def test_tls_behind_a_header_that_fills_the_buffer_exactly(issuer, files):
    """No event tells of what the kernel holds behind it."""
    header = V2[:14] + (4096 - 16).to_bytes(2, "big") + V2[16:] + bytes(4096 - len(V2))
    with running_plane(trusted_proxies=("127.0.0.0/8",), tls=secure(files)) as plane, plane.connect() as plain:
        hello, answers = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context(issuer).wrap_bio(answers, hello, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        plain.sendall(header + hello.read())
        assert plain.recv(5)[:1] == b"\x16"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\x05\x01\x00" * 4, "tls_handshake_failed"),
        (b"GET / HTTP/1.1\r\n\r\n", "tls_handshake_failed"),
        (b"\x16\x03\x01\x00\x05", "handshake_timeout"),
    ],
)
def test_what_is_no_tls(files, said, reason):
    with running_plane(tls=secure(files), timeouts=Timeouts(handshake=0.3)) as plane:
        with plane.connect() as client:
            client.sendall(said)
            assert b"HTTP" not in read_all(client)
        assert plane.ended()[0].reason == reason
        nothing_is_left(plane, 1)
        assert len(plane.logs) == (reason == "tls_handshake_failed")


def test_a_client_that_goes_while_we_compute(files, issuer, monkeypatch):
    go, began = threading.Event(), threading.Event()
    real = module.TLSStream.compute

    def slowly(stream):
        began.set()
        go.wait(10)
        return real(stream)

    monkeypatch.setattr(module.TLSStream, "compute", slowly)
    with running_plane(tls=secure(files)) as plane:
        with plane.connect() as client:
            client.sendall(b"\x16\x03\x01\x00\x05")
            assert began.wait(5)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))
        assert plane.ended()[0].reason == "client_gone"
        go.set()
        nothing_is_left(plane, 1)


@pytest.fixture
def certified(issuer, files):
    asked = secure(files, client_certificates="optional", client_ca=str(issuer.file), certificate_names_user=True)
    with running_plane(tls=asked) as plane:
        yield plane


def visit(plane, made):
    return made.wrap_socket(plane.connect(), server_hostname="localhost")


def test_a_certificate_names_its_user(certified, issuer, echo_port):
    with visit(certified, context(issuer, issuer.issue("alice"))) as client:
        client.sendall(connect(echo_port, b""))
        assert read_head(client).startswith(b"HTTP/1.1 200 ")
    assert certified.ended()[0].user == "alice"
    assert certified.verified == []


@pytest.mark.parametrize("name", ["nobody", "carol", None])
def test_other_names_fall_back_to_passwords(certified, issuer, echo_port, name):
    certified.do(lambda: certified.core.apply(snapshot(2, users={"alice": True, "carol": False})) or True)
    theirs = issuer.issue(name) if name else None
    with visit(certified, context(issuer, theirs)) as client:
        client.sendall(connect(echo_port, b""))
        assert read_message(client)[0].startswith(b"HTTP/1.1 407 ")
        client.sendall(connect(echo_port))
        assert read_head(client).startswith(b"HTTP/1.1 200 ")


def refused(plane, made):
    """In TLS 1.3 a client is told after it believes that all is well."""
    try:
        with visit(plane, made) as client:
            client.sendall(b"x")
            assert client.recv(1) == b""
    except OSError:
        pass


def test_another_authoritys_certificate_is_refused(certified, issuer, tmp_path):
    stranger = Authority(tmp_path, "stranger").issue("alice")
    refused(certified, context(issuer, stranger))
    assert certified.ended()[0].reason == "tls_handshake_failed"


def test_a_certificate_may_be_required(issuer, files):
    asked = secure(files, client_certificates="required", client_ca=str(issuer.file))
    with running_plane(tls=asked) as plane:
        refused(plane, context(issuer))
        assert plane.ended()[0].reason == "tls_handshake_failed"


def test_a_disabled_user_is_not_let_in_by_a_certificate_shown_before(certified, issuer):
    """Neither one who has said nothing yet, nor one between two requests."""
    made = context(issuer, issuer.issue("alice"))
    with origin() as server, visit(certified, made) as silent, visit(certified, made) as between:
        said = request(server.port).replace(basic(), b"")
        between.sendall(said)
        assert read_message(between)[1] == b"/ "
        certified.do(lambda: certified.core.apply(snapshot(2, users={"alice": False})) or True)
        silent.sendall(said)
        assert read_message(silent)[0].startswith(b"HTTP/1.1 407 ")
        assert between.recv(1) == b"", "it was alice's, and is closed like every connection of hers"
    assert len(server.heads) == 1


def test_many_clients_at_once(issuer, files):
    with running_plane(tls=secure(files)) as plane, tcp_server(echo) as port:

        def one():
            with visit(plane, context(issuer)) as client:
                client.sendall(connect(port))
                read_head(client)
                client.sendall(b"x" * 100_000)
                assert read_exactly(client, 100_000) == b"x" * 100_000

        threads = [threading.Thread(target=one) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert {each.user for each in plane.ended(30)} == {"alice"}
        nothing_is_left(plane, 1)


def test_files_that_break_before_a_worker_reads_them_turn_clients_away_until_they_are_mended(tmp_path, issuer, files):
    """The other workers, and the other inbounds of this one, go on."""
    key = tmp_path / "key.pem"
    key.write_text("nonsense")
    with running_plane(tls=TLS(certificate=str(files.certificate), key=str(key))) as plane:
        with socket.create_connection(("127.0.0.1", plane.port), timeout=5) as client:
            client.sendall(b"\x16\x03\x01")
            with pytest.raises((ConnectionError, AssertionError)):
                read_exactly(client, 1)
        assert plane.ended()[0].reason == "no_certificate"
        assert plane.counters.total(0) == 0
        key.write_bytes(files.key.read_bytes())
        listener = plane.listeners[0]
        plane.until(lambda: listener._arrivals._certificates.context is not None)
        with visit(plane, context(issuer)):
            pass
