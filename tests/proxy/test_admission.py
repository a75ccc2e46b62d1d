import pytest

from tests.support import web
from tests.support.clients import CONNECT, http_connect, read_head, read_reply, socks5
from tests.support.plane import login, read_exactly, running_plane, snapshot
from tests.support.servers import echo, tcp_server
from vpn.proxy.control import SnapshotLimits, SnapshotUser
from vpn.proxy.meter import CONNECTIONS


def limited(plane, blocked="", **limits):
    users = [SnapshotUser("alice", 1, blocked, slot=1, limits=SnapshotLimits(**limits))]
    made = snapshot(2)
    plane.do(lambda: plane.core.apply(type(made)(2, users, made.egress)) or True)


def test_who_is_refused_is_told_so_and_the_session_says_why():
    with running_plane() as plane, tcp_server(echo) as port:
        limited(plane, max_connections=1)
        with plane.tunnel(port), plane.connect() as second:
            login(second)
            second.sendall(socks5(CONNECT, "127.0.0.1", port))
            assert read_reply(second)[0] == 2
            session = plane.ended()[0]
            assert (session.status, session.reason, session.user, session.port) == (
                "rejected_by_acl",
                "too_many_connections_of_user",
                "alice",
                port,
            )


def test_an_expired_user_is_told_no_over_http_too():
    with running_plane() as plane, tcp_server(echo) as port:
        limited(plane, blocked="user_expired")
        with plane.connect() as client:
            client.sendall(http_connect(port, fields=b"Proxy-Authorization: Basic YWxpY2U6czNjcmV0\r\n"))
            assert read_head(client).startswith(b"HTTP/1.1 403 ")
        assert plane.ended()[0].reason == "user_expired"


def test_a_place_is_free_again_when_its_connection_is_gone():
    with running_plane() as plane, tcp_server(echo) as port:
        limited(plane, max_connections=1)
        for count in range(1, 4):
            plane.tunnel(port).close()
            plane.ended(count)
        assert {session.status for session in plane.sessions} == {"closed"}


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"sources": ("198.51.100.0/24",)}, "source_not_allowed"),
        ({"inbounds": ("other",)}, "inbound_not_allowed"),
    ],
)
def test_who_may_no_longer_come_this_way_is_cut_and_the_others_are_not(limits, reason):
    with running_plane() as plane, tcp_server(echo) as port:
        limited(plane, sources=("127.0.0.0/8",), inbounds=("main",))
        with plane.tunnel(port) as client:
            limited(plane, max_connections=1)
            client.sendall(b"still here")
            assert read_exactly(client, 10) == b"still here"
            limited(plane, **limits)
            assert plane.ended()[0].reason == reason


def test_more_than_a_lower_limit_may_stay_and_nobody_comes_to_them():
    with running_plane() as plane, tcp_server(echo) as port:
        limited(plane, max_connections=2)
        with plane.tunnel(port) as first, plane.tunnel(port):
            limited(plane, max_connections=1)
            first.sendall(b"still here")
            assert read_exactly(first, 10) == b"still here"
            with plane.connect() as third:
                login(third)
                third.sendall(socks5(CONNECT, "127.0.0.1", port))
                assert read_reply(third)[0] == 2


def test_a_kept_connection_of_a_user_who_is_gone_takes_no_place_from_who_is_counted_there_next():
    with running_plane() as plane, web.origin() as server, plane.connect() as client:
        limited(plane, max_connections=1)
        client.sendall(web.request(server.port))
        web.read_message(client)
        account = plane.do(lambda: plane.core.account("alice"))
        made = snapshot(3)
        plane.do(lambda: plane.core.apply(type(made)(3, [], made.egress)) or True)
        assert plane.do(lambda: [account.idle]) == [True]
        bob = SnapshotUser("bob", 1, slot=1, limits=SnapshotLimits(max_connections=1))
        plane.do(lambda: plane.core.apply(type(made)(4, [bob], made.egress)) or True)
        client.close()
        plane.until(lambda: not plane.core.connections)
        assert plane.meter.total(1, CONNECTIONS) == 0
