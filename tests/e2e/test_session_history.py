"""Sessions through the real daemon, its worker and its command line, into the store and out of it."""

import contextlib
import json
import signal

import pytest

from tests.support.daemon import running_daemon
from tests.support.history import visit
from tests.support.metered import Site
from tests.support.plane import read_all, read_exactly
from tests.support.postgres import running_postgres
from tests.support.servers import tcp_server
from tests.support.waiting import until


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """Of the database; empty: the file in the data directory."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(running_postgres()).new_database() if request.param == "postgresql" else ""


def test_who_asks_at_once_finds_what_has_just_ended(tmp_path):
    with running_daemon(tmp_path / "data") as daemon:
        for number in range(1, 6):
            source = visit(daemon.port)
            assert next(each["source_port"] for each in listed(daemon)) == source
            assert len(listed(daemon)) == number


def listed(daemon, *options):
    return json.loads(daemon.vpn("sessions", "list", "--format", "json", *options).out)


def test_sessions_are_told_of_while_they_last_and_afterwards(tmp_path, url):
    def greet(connection):
        connection.sendall(b"hello")
        read_all(connection)

    settings = {"VPN_DATABASE__URL": url}
    with running_daemon(tmp_path / "data", **settings) as daemon, tcp_server(greet) as port:
        site = Site(daemon)
        site.add("alice")
        with site.tunnel("alice", port) as client:
            assert read_exactly(client, 5) == b"hello"
            until(lambda: [each["bytes_received"] for each in listed(daemon, "--status", "active")] == [5])
            (live,) = listed(daemon)
            client.sendall(b"!")
        until(lambda: [each["status"] for each in listed(daemon)] == ["closed"])
        shown = json.loads(daemon.vpn("sessions", "show", live["id"], "--format", "json").out)
        assert (shown["bytes_sent"], shown["bytes_received"], shown["dest_port"]) == (1, 5, port)
        assert shown["user"] == "alice"
        with site.tunnel("alice", port) as client:
            read_exactly(client, 5)
            until(lambda: listed(daemon, "--status", "active"))
            daemon.stop(signal.SIGKILL)
            read_all(client)
    with running_daemon(tmp_path / "data", **settings) as daemon:
        found = listed(daemon)
        assert [each["status"] for each in found] == ["closed", "closed"]
        assert found[1]["id"] == live["id"]
        exported = [json.loads(line) for line in daemon.vpn("sessions", "export", "--format", "json").out.splitlines()]
        assert [each["id"] for each in exported] == [each["id"] for each in found]
