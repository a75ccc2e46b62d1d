"""Quotas, with the real daemon, two workers and real clients.

What clients got is counted by them, what was moved by the workers, and what is owed by the store. A connection
that is cut loses what its sockets still held, so clients may have got less than was counted, never more.
"""

import contextlib
import os
import select
import signal
import socket
import threading

import pytest

from tests.support.clients import ASSOCIATE, basic, connect, read_reply, read_response, socks5
from tests.support.curl import curl
from tests.support.daemon import running_daemon
from tests.support.metered import MIB, PAYLOAD, Site, at_once, drain, pour
from tests.support.origin import origin
from tests.support.plane import login, read_all, read_exactly
from tests.support.servers import echo, tcp_server, udp_echo
from tests.support.waiting import until
from vpn.protocols import datagram
from vpn.proxy.meter import DOWN, RATE_DOWN, UP

QUOTA = 48 * MIB
OVERSHOOT = MIB
"""Bytes in all by which a quota may be exceeded."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running_daemon(tmp_path_factory.mktemp("quotas") / "data", VPN_PROXY__WORKERS="2") as daemon:
        yield Site(daemon)


def flood(client):
    """Send up to the reset."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while True:
            client.sendall(PAYLOAD[:MIB])


def within(moved, quota=QUOTA):
    return quota <= moved <= quota + OVERSHOOT


# --- the end of a quota


def test_downloads_end_together_and_another_users_goes_on_bit_for_bit(site):
    site.add("alice", "--data-limit", str(QUOTA))
    site.add("bob")
    payload = PAYLOAD * 2

    with tcp_server(pour) as port, tcp_server(lambda connection: connection.sendall(payload)) as other:
        with site.tunnel("bob", other) as bob, site.tunnels("alice", port) as clients:
            begun = read_exactly(bob, MIB)
            got = sum(at_once(drain, clients))
            assert begun + read_all(bob) == payload
        assert within(site.books.counted("alice"))
        assert 0 < got <= site.books.counted("alice")
        site.is_cut("alice")
        assert site.refused("alice", port)
        until(lambda: site.books.booked("alice") == site.books.counted("alice"))


def test_a_worker_that_stands_still_at_the_end_goes_no_further_either(site):
    site.add("sleeper", "--data-limit", str(QUOTA))
    sleeping, *_ = site.daemon.workers()
    with tcp_server(pour) as port, site.tunnels("sleeper", port) as clients:
        drained = threading.Thread(target=at_once, args=(drain, clients))
        drained.start()
        until(lambda: min(site.books.cells("sleeper", DOWN)) > 0)
        os.kill(sleeping, signal.SIGSTOP)
        try:
            until(lambda: site.books.counted("sleeper") >= QUOTA)
        finally:
            os.kill(sleeping, signal.SIGCONT)
        drained.join(60)
        site.is_cut("sleeper")
    assert within(site.books.counted("sleeper"))


def test_uploads_end(site):
    site.add("uploader", "--data-limit", str(QUOTA))
    arrived = []

    def sink(connection):
        count = 0
        try:
            while data := connection.recv(1 << 18):
                count += len(data)
        finally:
            arrived.append(count)

    with tcp_server(sink) as port:
        with site.tunnels("uploader", port) as clients:
            at_once(flood, clients)
            until(lambda: len(arrived) == len(clients))
        assert within(site.books.counted("uploader"))
        assert 0 < sum(arrived) <= site.books.counted("uploader")
        assert site.refused("uploader", port)


def test_a_quota_can_be_used_up_to_its_end(site):
    """With nothing in flight, nothing is lost: the client has got what it is charged for."""
    site.add("careful", "--data-limit", str(2 * MIB))
    moved = 0
    with tcp_server(echo) as port, site.tunnel("careful", port) as client:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while True:
                client.sendall(PAYLOAD[:1000])
                read_exactly(client, 1000)
                moved += 2000
        assert 2 * MIB - 2000 <= moved <= 2 * MIB
        assert moved <= site.books.counted("careful") <= moved + 2000


def test_datagrams_end(site):
    site.add("talker", "--data-limit", str(2 * MIB))

    def talk(control):
        login(control, "talker")
        control.sendall(socks5(ASSOCIATE, "0.0.0.0", 0))
        code, relay = read_reply(control)
        assert code == 0
        heard = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(relay)
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            poll.register(control, select.POLLIN)
            with contextlib.suppress(ConnectionRefusedError):
                while True:
                    sock.send(datagram.header("127.0.0.1", port) + bytes(1000))
                    ready = [number for number, _ in poll.poll(5000)]
                    assert ready, "neither an answer nor an end"
                    if control.fileno() in ready:
                        break
                    heard += len(sock.recv(2000)) - 10
        return heard

    with udp_echo() as port, contextlib.ExitStack() as stack:
        controls = [stack.enter_context(connect(site.daemon.port)) for _ in range(6)]
        heard = sum(at_once(talk, controls))
    counted = site.books.counted("talker")
    assert within(counted, 2 * MIB)
    assert counted // 2 - 6000 <= heard <= counted // 2
    site.is_cut("talker")


def test_forwarded_requests_end(site, tmp_path):
    site.add("reader", "--data-limit", str(QUOTA))
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(PAYLOAD)}\r\n\r\n".encode()
    with origin(head + PAYLOAD) as server:

        def fetch(number):
            return curl("-x", proxy, "-o", str(tmp_path / str(number)), server.url(f"/{number}"))

        proxy = f"http://reader:s3cret@127.0.0.1:{site.daemon.port}"
        codes = [result.code for result in at_once(fetch, range(4))]
        got = sum(file.stat().st_size for file in tmp_path.iterdir())
        assert set(codes) <= {0, 18, 22, 56}
        assert codes.count(0) <= 1, "the quota is that of one page, less its head"
        assert within(site.books.counted("reader"))
        assert got <= site.books.counted("reader")
        refused = curl("-x", proxy, "-w", "%{http_code}", "-o", os.devnull, server.url())
        assert refused.out == "403"


def test_who_is_idle_at_the_end_is_cut_too(site):
    site.add("idler", "--data-limit", str(4 * MIB))
    with (
        tcp_server(echo) as port,
        tcp_server(pour) as source,
        origin() as server,
        site.tunnels("idler", port) as idle,
        contextlib.ExitStack() as stack,
    ):
        kept = [stack.enter_context(connect(site.daemon.port)) for _ in range(8)]
        for each in kept:
            each.sendall(server.get(fields=basic("idler")))
            assert read_response(each)[0].startswith(b"HTTP/1.1 200 ")
        with site.tunnel("idler", source) as client:
            drain(client)
        for each in idle:
            with pytest.raises(ConnectionResetError):
                each.recv(1)
        site.is_cut("idler")
        for each in kept:
            assert each.recv(1) == b""


# --- afterwards


def test_raised_or_lifted_the_next_connection_works(site):
    site.add("buyer", "--data-limit", "1MiB")
    with tcp_server(pour) as port, tcp_server(echo) as reached:
        for change in (["--data-limit", "8MiB"], ["--data-limit", "16MiB"], ["--data-limit", "none"]):
            with site.tunnel("buyer", port) as client:
                drain(client)
            assert site.refused("buyer", reached)
            site.edit("buyer", *change)
            with site.tunnel("buyer", reached) as client:
                client.sendall(b"here again")
                assert read_exactly(client, 10) == b"here again"
        with site.tunnel("buyer", port) as client:
            client.sendall(b"?")
            assert read_exactly(client, MIB) == PAYLOAD[:MIB]


def test_lowered_it_ends_at_once(site):
    site.add("spender")
    with tcp_server(pour) as port, site.tunnel("spender", port) as client:
        client.sendall(b"?")
        read_exactly(client, MIB)
        site.edit("spender", "--data-limit", "1MiB")
        with pytest.raises(ConnectionResetError):
            read_all(client)
        assert site.refused("spender", port)


def test_throttled_it_goes_on_slower(site):
    """Somebody at a known rate is the clock."""
    site.add("patient", "--data-limit", "4MiB", "--throttle", "4mbit")
    site.add("clock", "--down", "4mbit")
    with tcp_server(pour) as port, site.tunnel("patient", port) as client, site.tunnel("clock", port) as clock:
        for each in (client, clock):
            each.sendall(b"?")
            threading.Thread(target=read_on, args=(each,), daemon=True).start()
        until(lambda: site.books.counted("patient") >= 4 * MIB)
        until(lambda: site.books.order("patient", RATE_DOWN))
        throttled = site.books.counted("patient")
        until(lambda: site.books.counted("patient") >= throttled + 50_000)
        patient, ticks = site.books.counted("patient"), site.books.counted("clock")
        until(lambda: site.books.counted("clock") >= ticks + 500_000)
        moved = site.books.counted("patient") - patient
        assert 400_000 < moved < 625_000
        assert not site.refused("patient", port)
        for each in (client, clock):
            each.shutdown(socket.SHUT_RDWR)


def read_on(client):
    with contextlib.suppress(OSError):
        while client.recv(1 << 16):
            pass


def test_another_user_of_the_same_name_begins_with_nothing(site):
    site.add("phoenix", "--data-limit", "1MiB")
    with tcp_server(pour) as port, tcp_server(echo) as reached:
        with site.tunnel("phoenix", port) as client:
            drain(client)
        assert site.daemon.vpn("users", "remove", "phoenix").code == 0
        site.add("phoenix", "--data-limit", "1MiB")
        with site.tunnel("phoenix", reached) as client:
            client.sendall(bytes(1000))
            read_exactly(client, 1000)
            assert site.books.counted("phoenix") == 2000
            assert site.books.cells("phoenix", UP) in ([1000, 0], [0, 1000])


def test_a_user_with_another_name_takes_along_what_was_used(site):
    site.add("miss", "--data-limit", "1MiB")
    with tcp_server(pour) as port, site.tunnel("miss", port) as client:
        drain(client)
        site.edit("miss", "--name", "mrs")
        assert site.refused("mrs", port)
        site.edit("mrs", "--data-limit", "2MiB")
        with site.tunnel("mrs", port) as again:
            drain(again)
        assert within(site.books.counted("mrs"), 2 * MIB)
        site.is_cut("mrs")
