from tests.support.clients import CONNECT, http_connect, read_head, read_reply, socks5
from tests.support.plane import login, running_plane, snapshot
from tests.support.servers import echo, tcp_server
from vpn.proxy.control import SnapshotLimits, SnapshotUser


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
