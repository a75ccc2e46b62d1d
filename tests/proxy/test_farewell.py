"""Refused clients. That they read their reply is in test_handshake; here is how it ends."""

from tests.support.plane import read_all, read_exactly, snapshot
from vpn.proxy.farewell import Farewell


def farewells(plane):
    return [each for each in plane.core.connections if isinstance(each, Farewell)]


def refuse(plane, client):
    client.sendall(b"\x05\x01\x00")
    assert read_exactly(client, 2) == b"\x05\xff"
    plane.until(lambda: len(farewells(plane)) == 1)


def test_it_ends_when_the_client_closes(plane):
    with plane.connect() as client:
        refuse(plane, client)
    plane.until(lambda: not plane.core.connections)


def test_its_session_is_written_down_when_it_begins_and_only_then(plane):
    """A worker that is killed meanwhile does not take it along."""
    with plane.connect() as client:
        refuse(plane, client)
        assert plane.ended()[0].reason == "no_acceptable_method"
        assert len(farewells(plane)) == 1
    plane.until(lambda: not farewells(plane))
    plane.do(lambda: plane.core.report() is not None)
    assert len(plane.ended()) == 1


def test_it_ends_by_itself_when_the_client_stays_silent(plane):
    with plane.connect() as client:
        refuse(plane, client)
        plane.until(lambda: not plane.core.connections)
        assert client.recv(1) == b""


def test_it_can_be_cut(plane):
    with plane.connect() as client:
        refuse(plane, client)
        plane.do(lambda: farewells(plane)[0].cut("shutdown") or True)
        plane.until(lambda: not farewells(plane))
    plane.do(lambda: plane.core.apply(snapshot(2)) or True)


def test_the_client_hears_at_once_that_nothing_follows(plane):
    with plane.connect() as client:
        client.sendall(b"\x05\x01\x00")
        client.settimeout(10)
        assert read_all(client) == b"\x05\xff"
        assert plane.do(lambda: len(plane.core.connections)) == 1, "it still has its time to read"
