import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shadowsocks_client import IDENTIFIED, METHODS, NEW, OLD, ShadowsocksClient, address
from vpn.domain import shadowsocks
from vpn.protocols.errors import ProtocolError
from vpn.protocols.shadowsocks_header import ClockSkew, begin, named, needed, without_padding
from vpn.protocols.shadowsocks_keys import key_name, master_key

NOW = 1_750_000_000.0
WANTED = address("example.com", 443)


def keys(name, which=0):
    """A method, a user's key, and the password of the user's client."""
    method = shadowsocks.METHODS[name]
    own = shadowsocks.user_password(method, f"secret{which}")
    inbound = base64.b64encode(bytes(method.key_size)).decode()
    return method, master_key(method, own), shadowsocks.client_password(method, inbound, f"secret{which}")


@pytest.mark.parametrize("name", METHODS)
def test_a_key_opens_its_own_streams_only(name):
    method, key, password = keys(name)
    client = ShadowsocksClient(name, password, now=NOW)
    stream = client.request("example.com", 443, b"hello")
    begun = begin(method, key, stream[: needed(method)], NOW)
    assert begun is not None
    assert (begun.salt, begun.taken) == (client.salt, needed(method))
    into = memoryview(bytearray(1000))
    taken, put = begun.opener.open_into(memoryview(stream)[begun.taken :], into)
    assert taken == len(stream) - begun.taken
    opened = bytes(into[:put])
    assert (without_padding(opened) if name in NEW else opened) == WANTED + b"hello"
    assert begin(method, keys(name, 1)[1], stream, NOW) is None


@pytest.mark.parametrize("name", IDENTIFIED)
def test_the_identity_header_names_the_key(name):
    method, key, password = keys(name)
    stream = ShadowsocksClient(name, password, now=NOW).request("example.com", 443)
    assert named(method, bytes(method.key_size), stream) == key_name(key)


@pytest.mark.parametrize("name", METHODS)
def test_every_bit_counts(name):
    method, key, password = keys(name)
    stream = ShadowsocksClient(name, password, now=NOW).request("example.com", 443)
    for at in range(needed(method)):
        changed = stream[:at] + bytes([stream[at] ^ 1]) + stream[at + 1 :]
        if name in IDENTIFIED and method.key_size <= at < method.key_size + 16:
            assert named(method, bytes(method.key_size), changed) != key_name(key)
        else:
            assert begin(method, key, changed, NOW) is None


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("offset", [-30, 0, 30])
def test_clocks_may_differ_a_little(name, offset):
    method, key, password = keys(name)
    stream = ShadowsocksClient(name, password, now=NOW + offset).request("example.com", 443)
    assert begin(method, key, stream, NOW + 0.9) is not None


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("offset", [-31, 31, -86400, 1 << 40])
def test_who_is_late_or_early_hears_by_how_much(name, offset):
    method, key, password = keys(name)
    stream = ShadowsocksClient(name, password, now=NOW + offset).request("example.com", 443)
    with pytest.raises(ClockSkew) as caught:
        begin(method, key, stream, NOW)
    assert (caught.value.offset, caught.value.reason) == (offset, "clock_skew")


@pytest.mark.parametrize("name", NEW)
def test_a_servers_header_is_no_clients(name):
    method, key, password = keys(name)
    stream = ShadowsocksClient(name, password, now=NOW).request("example.com", 443, kind=1)
    with pytest.raises(ProtocolError, match="bad_sealed_header"):
        begin(method, key, stream, NOW)


@pytest.mark.parametrize("name", OLD)
@pytest.mark.parametrize("length", [0, 0x4000, 0xFFFF])
def test_a_first_chunk_of_a_length_that_none_has(name, length):
    method, key, password = keys(name)
    client = ShadowsocksClient(name, password)
    with pytest.raises(ProtocolError, match="broken_chunk"):
        begin(method, key, client.salt + client._up.seal(length.to_bytes(2, "big")), NOW)


@pytest.mark.parametrize(
    "host", [address("192.0.2.1", 80), address("2001:db8::1", 80), address("example.com", 80), address("x" * 255, 1)]
)
@pytest.mark.parametrize(("padding", "payload"), [(0, b"x"), (1, b""), (900, b"payload")])
def test_padding_is_taken_out(host, padding, payload):
    assert without_padding(host + padding.to_bytes(2, "big") + bytes(padding) + payload) == host + payload


@pytest.mark.parametrize(
    "wanted",
    [
        WANTED + b"\0\0",  # neither padding nor a payload
        WANTED + b"\0\x05abcd",
        WANTED + b"\0",
        WANTED,
        WANTED[:5],
        b"\x03",
        b"\x02" + bytes(30),
    ],
)
def test_what_is_wanted_is_not_told_as_it_should_be(wanted):
    with pytest.raises(ProtocolError, match="bad_sealed_header"):
        without_padding(wanted)


@given(st.binary(min_size=100, max_size=100), st.sampled_from(METHODS))
def test_garbage_is_nobodys(garbage, name):
    method, key, _ = keys(name)
    assert begin(method, key, garbage[: needed(method)], NOW) is None
