import pytest

from tests.support.plane import lone_accounts, lone_recorder
from tests.support.shadowsocks import shadowsocks_plane
from vpn.domain.shadowsocks import METHODS
from vpn.protocols.shadowsocks_chunks import MOST, Sealer
from vpn.proxy.core import BUFFER, Core
from vpn.proxy.poller import Poller
from vpn.proxy.shadowsocks import SCRATCH, shared


@pytest.fixture
def core():
    core = Core(Poller(pytest.fail), pytest.fail, lone_accounts(), lone_recorder()[1])
    yield core
    core.resolver.close()


def test_inbounds_share_keys_and_memory(core):
    assert core.shadowsocks is None
    ours = shared(core)
    assert shared(core) is ours is core.shadowsocks
    method = METHODS["aes-256-gcm"]
    assert ours.keyring(method) is ours.keyring(method)
    assert ours.keyring(method) is not ours.keyring(METHODS["aes-128-gcm"])


@pytest.mark.parametrize("method", METHODS.values())
def test_what_is_moved_at_a_time_has_room(method):
    sealer = Sealer(method, bytes(method.key_size), bytes(method.key_size), bytes(method.key_size))
    assert sealer.room(BUFFER) <= SCRATCH
    assert BUFFER + MOST[method.edition] + 2 * 16 + 2 <= SCRATCH  # what is read, behind a chunk that is not whole


def test_several_inbounds_know_the_same_address(echo_port):
    with shadowsocks_plane("aes-256-gcm") as plane:
        plane.open(protocol="shadowsocks", method="aes-128-gcm")
        assert plane.listeners[0]._arrivals.shared is plane.listeners[1]._arrivals.shared
