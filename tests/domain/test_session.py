import msgspec

from vpn.domain.session import Session


def test_a_session_begins_active_and_empty():
    session = Session(1, "main", "192.0.2.1", 4711, 1.5)
    assert (session.status, session.user, session.bytes_sent, session.ended) == ("active", "", 0, 0.0)


def test_a_session_survives_the_way_to_the_daemon():
    session = Session(1, "main", "192.0.2.1", 4711, 1.5, user="alice", status="rejected_by_acl", ended=2.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(session), type=Session) == session
