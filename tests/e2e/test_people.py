"""Users in bulk, from a file to the data plane of the running daemon."""

import contextlib
import json

from tests.support.clients import connect
from tests.support.curl import curl
from tests.support.plane import read_all, read_exactly
from tests.support.servers import echo, tcp_server

PEOPLE = "name,password,groups,data_limit\nann,one,staff,50GB\nben,two,staff,\ncleo,three,,\n"


@contextlib.contextmanager
def tunnel(daemon, name, password, port):
    with connect(daemon.port) as client:
        client.sendall(b"\x05\x01\x02\x01" + bytes([len(name)]) + name + bytes([len(password)]) + password)
        assert read_exactly(client, 4) == b"\x05\x02\x01\x00"
        client.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big") + b"ping")
        assert read_exactly(client, 14)[10:] == b"ping"
        yield client


def test_a_file_of_people_connects_and_a_group_of_them_is_cut(daemon, web, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text(PEOPLE)
    refused = daemon.vpn("users", "import", str(file))
    assert refused.code == 3
    assert "row 2: there is no group staff" in refused.err
    assert daemon.vpn("users", "show", "cleo").code == 4, "all or none"

    assert daemon.vpn("groups", "add", "staff", "--max-connections", "20").code == 0
    assert daemon.vpn("users", "import", str(file)).code == 0
    url = f"http://127.0.0.1:{web}/"
    for name, password in (("ann", "one"), ("ben", "two"), ("cleo", "three")):
        assert curl("-x", f"socks5h://{name}:{password}@127.0.0.1:{daemon.port}", url).out == "hello /"
    ann = json.loads(daemon.vpn("users", "show", "ann", "--format", "json").out)
    assert ann["effective"] == {"data_limit": 50 * 10**9, "max_connections": 20}

    with (
        tcp_server(echo) as port,
        tunnel(daemon, b"ann", b"one", port) as cut,
        tunnel(daemon, b"cleo", b"three", port) as kept,
    ):
        assert daemon.vpn("users", "edit", "--where", "group=staff", "--disable", "--yes").out == "Changed 2 users.\n"
        with contextlib.suppress(ConnectionResetError):
            assert read_all(cut) == b""
        kept.sendall(b"pong")
        assert read_exactly(kept, 4) == b"pong"
    assert curl("-x", f"socks5h://ben:two@127.0.0.1:{daemon.port}", url).code == 97
