"""What implementations of BIND get wrong."""

import socket

import pytest

from tests.support.clients import BIND, ask, connect, read_reply, read_reply4, socks4
from tests.support.plane import read_all, read_exactly
from tests.support.waiting import until


def peer(address, source="127.0.0.1"):
    return socket.create_connection(address, timeout=10, source_address=(source, 0))


def refuses(address):
    try:
        peer(address).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # it is being closed just now
    return False


def test_two_replies_where_it_listens_and_who_came(server):
    with connect(server.open) as client:
        code, bound = ask(client, BIND, "127.0.0.1", 0)
        assert code == 0
        with peer(bound) as friend:
            friend.sendall(b"from the peer")
            assert read_reply(client) == (0, friend.getsockname())
            assert read_exactly(client, 13) == b"from the peer"
            client.sendall(b"from the client")
            client.shutdown(socket.SHUT_WR)
            assert read_all(friend) == b"from the client"


def test_socks4_has_two_replies_as_well(server):
    with connect(server.open) as client:
        client.sendall(socks4(BIND, "127.0.0.1", 0))
        code, bound = read_reply4(client)
        assert code == 90
        with peer(bound) as friend:
            assert read_reply4(client) == (90, friend.getsockname())
            friend.sendall(b"x")
            assert read_exactly(client, 1) == b"x"


@pytest.mark.parametrize("family", ["open", "open6"])
def test_the_listening_address_is_reachable_and_not_zero(server, family):
    host = "::1" if family == "open6" else "127.0.0.1"
    with socket.create_connection((host, server.ports[family]), timeout=10) as client:
        code, bound = ask(client, BIND, host, 0)
        assert (code, bound[0]) == (0, host)
        with socket.create_connection(bound, timeout=10) as friend:
            assert read_reply(client) == (0, friend.getsockname()[:2])


def test_bytes_that_the_client_sends_before_the_peer_comes_arrive_once(server):
    with connect(server.open) as client:
        _, bound = ask(client, BIND, "127.0.0.1", 0)
        client.sendall(b"early")
        with peer(bound) as friend:
            assert read_reply(client)[0] == 0
            assert read_exactly(friend, 5) == b"early"
            client.shutdown(socket.SHUT_WR)
            assert friend.recv(1) == b""


def test_a_stranger_is_turned_away_and_the_peer_may_still_come(server):
    with connect(server.open) as client:
        _, bound = ask(client, BIND, "127.0.0.3", 0)
        with peer(bound, "127.0.0.4") as stranger:
            assert stranger.recv(1) == b""
        with peer(bound, "127.0.0.3") as friend:
            assert read_reply(client) == (0, friend.getsockname())


@pytest.mark.parametrize("anybody", ["0.0.0.0", "::"])
def test_a_destination_of_zero_lets_anybody_come(server, anybody):
    with connect(server.open) as client:
        code, bound = ask(client, BIND, anybody, 0)
        assert code == 0
        with peer(bound, "127.0.0.4") as friend:
            assert read_reply(client) == (0, friend.getsockname())


def test_a_name_as_destination_is_resolved(server, dns):
    dns.records["peer.bind.test"] = ["127.0.0.5", "127.0.0.6"]
    with connect(server.open) as client:
        code, bound = ask(client, BIND, "peer.bind.test", 0)
        assert code == 0
        with peer(bound, "127.0.0.4") as stranger:
            assert stranger.recv(1) == b""
        with peer(bound, "127.0.0.6") as friend:
            assert read_reply(client) == (0, friend.getsockname())


def test_only_one_peer_may_come(server):
    with connect(server.open) as client:
        _, bound = ask(client, BIND, "127.0.0.1", 0)
        with peer(bound):
            assert read_reply(client)[0] == 0
            until(lambda: refuses(bound))


@pytest.mark.parametrize("half", [False, True])
def test_it_ends_with_the_control_connection(server, half):
    with connect(server.open) as client:
        code, bound = ask(client, BIND, "127.0.0.3", 0)
        assert code == 0
        if half:
            client.shutdown(socket.SHUT_WR)
            until(lambda: refuses(bound))
    until(lambda: refuses(bound))


def test_it_ends_at_its_time_limit_with_an_answer(server):
    with connect(server.ports["short"]) as client:
        _, bound = ask(client, BIND, "127.0.0.3", 0)
        assert read_reply(client)[0] == 4
        assert client.recv(1) == b""
    until(lambda: refuses(bound))


def test_a_guarded_destination_may_not_be_the_peer(guarded, dns):
    dns.records["private.bind.test"] = ["127.0.0.1", "10.0.0.1"]
    for host in ("127.0.0.1", "::1", "private.bind.test"):
        with connect(guarded.open) as client:
            assert ask(client, BIND, host, 0)[0] == 2
    with connect(guarded.open) as client:  # anybody, but for those whom the guard keeps out
        code, bound = ask(client, BIND, "0.0.0.0", 0)
        assert code == 0
        with peer(bound) as stranger:
            assert stranger.recv(1) == b""


def test_what_goes_through_an_upstream_is_not_bound_here(server):
    for host in ("127.0.0.9", "a.upstream.test"):
        with connect(server.open) as client:
            assert ask(client, BIND, host, 0)[0] == 2


def test_a_client_whose_end_comes_with_the_request_is_not_waited_for(server):
    with connect(server.open) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # one segment for all of it
        client.sendall(b"\x05\x01\x00\x05\x02\x00\x01" + bytes(6))
        client.shutdown(socket.SHUT_WR)
        assert read_exactly(client, 2) == b"\x05\x00"
        code, bound = read_reply(client)
        assert code == 0
        assert read_all(client) == b""
    until(lambda: refuses(bound))
