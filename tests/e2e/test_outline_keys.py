"""Keys that were made through Outline's API, used by shadowsocks-libev's client."""

import pytest

from tests.support.daemon import running_daemon
from tests.support.metered import MIB, pour
from tests.support.outline import Outline
from tests.support.plane import read_exactly
from tests.support.servers import echo, tcp_server
from tests.support.shadowsocks_programs import open_tunnel, ss_local
from tests.support.waiting import until
from vpn.links import shadowsocks

LIMIT = 16 * MIB


@pytest.fixture(scope="module")
def outline(tmp_path_factory):
    quick = {"VPN_PROXY__WORKERS": "2", "VPN_PROXY__HANDSHAKE_TIMEOUT": "2"}  # so long a wrong key is heard out
    with running_daemon(tmp_path_factory.mktemp("outline") / "data", **quick) as daemon:
        yield Outline(daemon.vpn("outline", "enable").out.splitlines()[-1])


def client(key):
    """ss-local, set up by the link that a client is given."""
    link = shadowsocks.parse(key["accessUrl"])
    assert (link.host, link.outline) == ("127.0.0.1", True)
    return ss_local(link.method, link.password, link.port)


def get_until_cut(tunnel):
    """Ask, and read until it ends; returns how much it was."""
    tunnel.sendall(b"?")
    count = 0
    try:
        while data := tunnel.recv(1 << 18):
            count += len(data)
    except ConnectionResetError:
        pass
    return count


def transferred(outline, key):
    return outline.get("/metrics/transfer")["bytesTransferredByUserId"].get(key["id"], 0)


def of_key(outline, key):
    figures = outline.get("/experimental/server/metrics?since=30d")["accessKeys"]
    [found] = [each for each in figures if each["accessKeyId"] == key["id"]]
    return found


@pytest.mark.parametrize("said", [{}, {"password": "as somebody wrote it: ü"}, {"method": "aes-128-gcm"}])
def test_a_key_connects_and_what_it_moved_is_told(outline, said):
    key = outline.add(name="phone", **said)
    with tcp_server(echo) as port, client(key) as own, open_tunnel(own, port) as tunnel:
        tunnel.sendall(bytes(MIB))
        assert read_exactly(tunnel, MIB) == bytes(MIB)
        until(lambda: transferred(outline, key) >= 2 * MIB)
        until(lambda: of_key(outline, key)["connection"]["peakDeviceCount"]["data"] == 1)
        assert of_key(outline, key)["dataTransferred"]["bytes"] == transferred(outline, key)
        assert of_key(outline, key)["connection"]["lastTrafficSeen"] > 1_700_000_000
        server = outline.get("/experimental/server/metrics")["server"]
        assert server["dataTransferred"]["bytes"] >= 2 * MIB
        assert server["bandwidth"]["peak"]["timestamp"] > 1_700_000_000
    assert 2 * MIB <= transferred(outline, key) < 2.1 * MIB


def test_a_limit_cuts_a_download_in_the_middle_and_a_higher_one_lets_it_in_again(outline):
    key = outline.add()
    path = f"/access-keys/{key['id']}/data-limit"
    with tcp_server(pour) as port, tcp_server(echo) as other, client(key) as own:
        with open_tunnel(own, port) as tunnel:
            assert outline.call("PUT", path, {"limit": {"bytes": LIMIT}}).status == 204
            assert get_until_cut(tunnel) <= LIMIT + MIB
        until(lambda: LIMIT <= transferred(outline, key) <= LIMIT + MIB)
        with open_tunnel(own, other) as tunnel:
            assert get_until_cut(tunnel) == 0, "nothing is let through"
        assert outline.call("DELETE", path).status == 204
        with open_tunnel(own, other) as tunnel:
            tunnel.sendall(b"hello")
            assert read_exactly(tunnel, 5) == b"hello"


def test_the_limit_of_all_cuts_too(outline):
    key, exempt = outline.add(), outline.add(limit={"bytes": 1 << 40})
    with tcp_server(pour) as port, tcp_server(echo) as other, client(key) as own, client(exempt) as others:
        with open_tunnel(own, port) as tunnel, open_tunnel(others, other) as stays:
            assert outline.call("PUT", "/server/access-key-data-limit", {"limit": {"bytes": LIMIT}}).status == 204
            assert get_until_cut(tunnel) <= LIMIT + MIB
            stays.sendall(b"hello")
            assert read_exactly(stays, 5) == b"hello"
        assert outline.call("DELETE", "/server/access-key-data-limit").status == 204


def test_a_key_that_is_removed_is_cut(outline):
    key, other = outline.add(), outline.add()
    with tcp_server(echo) as port, client(key) as own, client(other) as others:
        with open_tunnel(own, port) as tunnel, open_tunnel(others, port) as stays:
            for each in (tunnel, stays):
                each.sendall(b"hello")
                assert read_exactly(each, 5) == b"hello"
            assert outline.call("DELETE", f"/access-keys/{key['id']}").status == 204
            assert get_until_cut(tunnel) == 0
            stays.sendall(b"hello")
            assert read_exactly(stays, 5) == b"hello"
        with open_tunnel(own, port) as tunnel:
            assert get_until_cut(tunnel) == 0, "nor is it let in again"
