"""What implementations get wrong about TLS in front of a proxy."""

import socket
import ssl

import pytest

from tests.support.certificates import Authority
from tests.support.clients import basic, connect, greet, http_connect, read_head, tls
from tests.support.plane import read_all, read_exactly, running_plane, snapshot
from tests.support.servers import after_the_end, tcp_server
from tests.support.waiting import until
from vpn.domain.inbound import TLS, Timeouts


@pytest.fixture(scope="module")
def context(authority):
    """A client's context; it has no certificate."""
    return ssl.create_default_context(cafile=str(authority.file))


def with_certificate(server_authority, files):
    context = ssl.create_default_context(cafile=str(server_authority.file))
    context.load_cert_chain(*files)
    return context


def answer(client, echo_port, fields=b""):
    """The status of a CONNECT."""
    client.sendall(http_connect(echo_port, fields=fields))
    return int(read_head(client).split(b" ")[1])


def refuses(port, context):
    """Whether the handshake fails. In TLS 1.3 a client learns that only when it reads."""
    try:
        with tls(port, context) as client:
            client.sendall(http_connect(80))
            return client.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def test_every_protocol_is_spoken_in_tls(server, context, echo_port):
    with tls(server.ports["tls"], context) as client:
        greet(client)
    with tls(server.ports["tls"], context) as client:
        assert answer(client, echo_port) == 200
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"hello"


def test_no_plain_text_is_served_there(server):
    for said in (b"\x05\x01\x00" + bytes(100), http_connect(80), b"\x16\x03\x01\x00\x05hello"):
        with connect(server.ports["tls"]) as client:
            client.sendall(said)
            try:
                heard = read_all(client)
            except ConnectionResetError:
                heard = b""
            assert not heard.startswith((b"\x05", b"HTTP"))


def test_the_minimum_version_is_held(server, authority):
    context = ssl.create_default_context(cafile=str(authority.file))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert refuses(server.ports["tls13"], context)
    with tls(server.ports["tls"], context) as client:
        assert client.tls.version() == "TLSv1.2"


def test_alpn_is_offered_and_chosen(server, authority):
    context = ssl.create_default_context(cafile=str(authority.file))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with tls(server.ports["tls13"], context) as client:
        assert client.tls.selected_alpn_protocol() == "http/1.1"
    with tls(server.ports["tls"], context) as client:
        assert client.tls.selected_alpn_protocol() is None


def test_a_client_that_never_speaks_tls_is_dropped_in_time(echo_port, authority):
    files = authority.issue("hasty")
    inbound = TLS(certificate=str(files.certificate), key=str(files.key))
    with running_plane(tls=inbound, timeouts=Timeouts(handshake=0.3)) as plane:
        for said in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"):
            with connect(plane.port) as client:
                client.sendall(said)
                assert read_all(client) == b""


def test_optional_a_certificate_names_the_user_and_without_one_there_are_passwords(
    server, context, authority, echo_port
):
    with tls(server.ports["optional"], with_certificate(authority, authority.issue("alice"))) as client:
        assert answer(client, echo_port) == 200
    with tls(server.ports["optional"], context) as client:
        assert answer(client, echo_port) == 407
        read_exactly(client, len(b"407 Proxy Authentication Required\n"))
        assert answer(client, echo_port, basic()) == 200


def test_required_nobody_comes_in_without_one(server, context, authority, echo_port):
    assert refuses(server.ports["required"], context)
    with tls(server.ports["required"], with_certificate(authority, authority.issue("alice"))) as client:
        assert answer(client, echo_port) == 200


@pytest.mark.parametrize("inbound", ["optional", "required"])
def test_a_certificate_of_another_authority_is_none(server, authority, tmp_path, inbound):
    stranger = Authority(tmp_path, "stranger")
    assert refuses(server.ports[inbound], with_certificate(authority, stranger.issue("alice")))


def test_a_certificate_of_nobody_we_know_is_no_user(server, authority, echo_port):
    for name in ("mallory", "anonymous"):
        with tls(server.ports["required"], with_certificate(authority, authority.issue(name))) as client:
            assert answer(client, echo_port) == 407


def test_a_certificate_is_no_user_where_it_is_not_said_so(server, authority, echo_port):
    with tls(server.ports["unnamed"], with_certificate(authority, authority.issue("alice"))) as client:
        assert answer(client, echo_port) == 407


def test_the_certificates_name_is_the_user_of_the_session_and_ends_with_the_user(authority, echo_port):
    files = authority.issue("named")
    inbound = TLS(
        certificate=str(files.certificate),
        key=str(files.key),
        client_ca=str(authority.file),
        client_certificates="required",
        certificate_names_user=True,
    )
    with running_plane(tls=inbound) as plane:
        with tls(plane.port, with_certificate(authority, authority.issue("alice"))) as client:
            assert answer(client, echo_port) == 200
            plane.do(lambda: plane.core.apply(snapshot(2, users={"alice": False, "bob": True})) or True)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        (session,) = plane.ended()
        assert (session.user, session.reason) == ("alice", "user_disabled")


def serial(port, context):
    with tls(port, context) as client:
        return client.tls.getpeercert()["serialNumber"]


def test_a_new_certificate_is_taken_up_and_live_connections_go_on(authority, context, echo_port):
    files = authority.issue("renewed")
    inbound = TLS(certificate=str(files.certificate), key=str(files.key))
    with running_plane(tls=inbound, open_to=("127.0.0.0/8",)) as plane, tls(plane.port, context) as client:
        assert answer(client, echo_port) == 200
        before = client.tls.getpeercert()["serialNumber"]
        assert serial(plane.port, context) == before
        authority.issue("renewed")
        until(lambda: serial(plane.port, context) != before)
        client.sendall(b"still here")
        assert read_exactly(client, 10) == b"still here"
        files.key.write_text("nonsense")
        plane.until(lambda: any(log.level == "error" for log in plane.logs))
        assert serial(plane.port, context) != before, "the last good one stays in force"
        client.end()
        assert client.recv(1) == b""


def test_the_certificate_is_reloaded_by_every_worker_of_the_daemon(server, authority, context):
    """The file was issued for all of its inbounds; the other tests do not mind another one."""
    before = serial(server.ports["tls"], context)
    authority.issue("server")

    def all_new():
        return all(serial(server.ports["tls"], context) != before for _ in range(10))

    until(all_new, 30)


def test_a_client_that_ends_without_a_word_in_tls_gets_its_answer(server, context):
    with tcp_server(after_the_end) as port, tls(server.ports["tls"], context) as client:
        assert answer(client, port) == 200
        client.sendall(b"12345")
        client.sock.shutdown(socket.SHUT_WR)
        assert read_exactly(client, 8) == (5).to_bytes(8, "big")
        assert len(read_exactly(client, 1024 * 1024)) == 1024 * 1024
