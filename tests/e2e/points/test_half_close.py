"""8 MiB up, the end, 1 MiB down: nothing is cut off, whichever way the bytes go."""

import socket
import ssl
import threading
from contextlib import contextmanager

import pytest

from tests.e2e.points.conftest import OPEN, configured, serve
from tests.support.clients import CONNECT, ask, basic, connect, http_connect, read_head, tls, tunnel
from tests.support.daemon import running_daemon
from tests.support.plane import read_all
from tests.support.servers import after_the_end, hold, tcp_server
from tests.support.waiting import until

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def destination():
    with tcp_server(after_the_end) as port:
        yield port


@pytest.fixture(scope="module")
def chained(tmp_path_factory, server, authority):
    """A second daemon, whose upstreams are the inbounds of the first: each inbound of it goes another way."""
    directory = tmp_path_factory.mktemp("chained")
    ways = ("socks", "http", "https", "chain")
    inbounds = "".join(f"\n    {way}: {{listen: '127.0.0.1:0', {OPEN}, anonymous_user: {way}}}" for way in ways)
    routes = "".join(f"\n    - {{users: [{way}], upstreams: {{{way}: 1}}}}" for way in ways)
    main = f"'127.0.0.1:{server.daemon.port}', user: alice, password: s3cret"
    text = f"""
proxy:
  workers: 1
  inbounds:{inbounds}
  upstreams:
    socks: {{protocol: socks5, address: {main}}}
    http: {{protocol: http, address: {main}}}
    https: {{protocol: https, address: '127.0.0.1:{server.ports["tls"]}', ca: {authority.file}}}
    chain: {{protocol: socks5, address: {main}, via: https}}
  routes:{routes}
"""
    with running_daemon(directory / "data", **configured(directory, text)) as daemon:
        yield serve(daemon)


def exchange(client, end):
    client.sendall(bytes(8 * MIB))
    end()
    answer = read_all(client)
    assert int.from_bytes(answer[:8], "big") == 8 * MIB
    assert len(answer) == 8 + MIB


def over(client):
    exchange(client, lambda: client.shutdown(socket.SHUT_WR))


def test_over_socks5(server, destination):
    with tunnel(server.open, destination) as client:
        over(client)


def test_over_http_connect(server, destination):
    with connect(server.daemon.port) as client:
        client.sendall(http_connect(destination, fields=basic()))
        read_head(client)
        over(client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_over_tls_with_close_notify_alone(server, destination, authority, version):
    context = ssl.create_default_context(cafile=str(authority.file))
    context.maximum_version = version
    with tls(server.ports["tls"], context) as client:
        client.sendall(http_connect(destination))
        assert read_head(client).startswith(b"HTTP/1.1 200 ")
        exchange(client, client.end)


@pytest.mark.parametrize("way", ["socks", "http", "https", "chain"])
def test_through_upstreams(chained, destination, way):
    with tunnel(chained.ports[way], destination) as client:
        over(client)


@contextmanager
def one_after_the_other():
    """A destination that is done first: it sends 1 MiB and its end, then reads to the end."""
    counts = []

    def talk(connection):
        connection.sendall(bytes(MIB))
        connection.shutdown(socket.SHUT_WR)
        counts.append(len(read_all(connection)))

    with tcp_server(talk) as port:
        yield port, counts


@pytest.mark.parametrize("way", ["socks", "http", "https", "chain"])
def test_the_destination_may_be_done_first(chained, way):
    with one_after_the_other() as (port, counts), tunnel(chained.ports[way], port) as client:
        assert len(read_all(client)) == MIB
        client.sendall(bytes(8 * MIB))
        client.shutdown(socket.SHUT_WR)
        until(lambda: counts == [8 * MIB])


def test_the_end_and_the_answer_may_cross(server, destination):
    """Many at once, so that ends come with data, behind data, and alone."""
    failures = []

    def one():
        try:
            with connect(server.open) as client:
                assert ask(client, CONNECT, "127.0.0.1", destination)[0] == 0
                client.sendall(b"x" * 1000)
                client.shutdown(socket.SHUT_WR)
                assert len(read_all(client)) == 8 + MIB
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []


def test_what_a_half_closed_client_leaves_ends_at_the_timeout(server):
    """The destination neither answers nor ends."""
    with tcp_server(hold) as port, tunnel(server.ports["short"], port) as client:
        client.shutdown(socket.SHUT_WR)
        read_all(client)
