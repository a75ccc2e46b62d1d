"""Shadowsocks' datagrams against a client that was written from the specifications."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.shadowsocks_packets import SECRETS, PacketClient, key_of
from vpn.domain.shadowsocks import METHODS
from vpn.protocols import shadowsocks_packet as packets
from vpn.protocols import socks_address
from vpn.protocols.errors import SocksError
from vpn.protocols.shadowsocks_keys import key_name, master_key

OLD = [name for name, method in METHODS.items() if method.edition == 1]
IDENTIFIED = [name for name, method in METHODS.items() if method.identified]
NONCED = "2022-blake3-chacha20-poly1305"
ADDRESS = socks_address.pack("192.0.2.1", 53)
FORMS = [bytes, memoryview, lambda raw: memoryview(bytearray(raw))]
hosts = st.one_of(
    st.ip_addresses().map(str), st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
)


def opened(client, packet):
    """What stands in a client's datagram: header and body, and where the body begins; None: it is another's."""
    if client.method.edition == 1:
        held = packets.open_salted(client.method, client.key, packet)
        return None if held is None else (b"", held, 0)
    if client.method.identified:
        header, name = packets.Headings(client.inbound_key).read(packet)
        if name != key_name(client.key):
            return None
        cipher = packets.session_cipher(client.method, client.key, header[:8])
        body = packets.open_headed(cipher, header, packet)
        return None if body is None else (header, body, 0)
    held = packets.open_nonced(client.method, client.key, packet)
    return None if held is None else (held[:16], held, 16)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", FORMS)
@given(host=hosts, port=st.integers(1, 65535), data=st.binary(max_size=50), padding=st.binary(max_size=40))
def test_what_a_client_says_is_heard(method, form, host, port, data, padding):
    client = PacketClient(method, SECRETS["alice"])
    found = opened(client, form(client.seal(host, port, data, number=7, sent=1_700_000_000, padding=padding)))
    assert found is not None
    header, body, at = found
    start = 0
    if client.method.edition == 2022:
        assert packets.read_header(header) == (client.session, 7)
        sent, start = packets.read_body(body, at)
        assert sent == 1_700_000_000
    assert body[start:] == socks_address.pack(host, port) + data
    assert len(body) <= packets.LARGEST


@pytest.mark.parametrize("method", METHODS)
def test_strangers_and_damage_are_told(method):
    client, other = PacketClient(method, SECRETS["alice"]), PacketClient(method, SECRETS["bob"])
    packet = client.seal("192.0.2.1", 53, b"data")
    assert opened(other, packet) is None
    for place in range(len(packet)):
        damaged = packet[:place] + bytes([packet[place] ^ 0x40]) + packet[place + 1 :]
        assert opened(client, damaged) is None, f"damaged in byte {place}"


@pytest.mark.parametrize("method", METHODS)
def test_cut_at_every_place(method):
    client = PacketClient(method, SECRETS["alice"])
    packet = client.seal("192.0.2.1", 53, b"data")
    for size in range(len(packet)):
        if method in IDENTIFIED and size < 2 * packets.BLOCK + 11 + 16:
            with pytest.raises(SocksError, match="short_datagram"):
                opened(client, packet[:size])
        else:
            assert opened(client, packet[:size]) is None


@pytest.mark.parametrize("method", METHODS)
@given(data=st.binary(max_size=100), host=hosts)
def test_what_we_answer_is_heard(method, data, host):
    client = PacketClient(method, SECRETS["alice"])
    seal = packets.seal_of(client.method, client.key, b"a server", client.session)
    held = socks_address.pack(host, 53) + data
    room = packets.PREFIX
    buffer = memoryview(bytearray(b"\xff" * room + held + b"beyond"))
    import time

    for number in range(3):
        salt = os.urandom(packets.salt_size(client.method))
        sealed = seal(buffer, room, room + len(held), int(time.time()), salt)
        assert client.open(sealed)[2] == data
        assert buffer[room:] == held + b"beyond"
        if client.method.edition == 2022:
            assert (client.server_sessions[-1], client.server_numbers[-1]) == (b"a server", number)


@pytest.mark.parametrize("method", METHODS)
def test_no_two_answers_are_alike(method):
    client = PacketClient(method, SECRETS["alice"])
    seal = packets.seal_of(client.method, client.key, b"a server", client.session)
    buffer = memoryview(bytearray(packets.PREFIX) + ADDRESS)
    salts = [bytes([number]) * packets.salt_size(client.method) for number in range(10)]
    sealed = [seal(buffer, packets.PREFIX, len(buffer), 0, salt) for salt in salts]
    assert len({each[at : at + 16] for each in sealed for at in (0, len(each) - 16)}) == 20


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "short_datagram"),
        (bytes(10), "short_datagram"),
        (b"\1" + bytes(10), "bad_datagram"),
        (b"\xff" + bytes(10), "bad_datagram"),
    ],
)
@pytest.mark.parametrize("at", [0, 16])
def test_bad_bodies(body, reason, at):
    with pytest.raises(SocksError, match=reason):
        packets.read_body(bytes(at) + body, at)


def test_padding_that_is_longer_than_the_datagram_leaves_no_address():
    with pytest.raises(SocksError, match="short_datagram"):
        packets.read_body(bytes(9) + b"\xff\xff" + ADDRESS)
    assert packets.read_body(bytes(10) + b"\1x") == (0, 12)


@pytest.mark.parametrize("method", METHODS)
@given(raw=st.binary(max_size=200))
def test_garbage_opens_nothing(method, raw):
    client = PacketClient(method, SECRETS["alice"])
    try:
        assert opened(client, raw) is None
    except SocksError:
        assert method in IDENTIFIED


@given(raw=st.binary(max_size=300), at=st.integers(0, 20))
def test_garbage_in_an_address_yields_only_the_protocols_own_error(raw, at):
    try:
        host, port, end = socks_address.unpack(raw, at)
    except SocksError:
        return
    assert at < end <= len(raw)
    assert port
    assert host


def test_the_inbounds_key_is_another():
    client = PacketClient(IDENTIFIED[0], SECRETS["alice"])
    assert key_of(IDENTIFIED[0])
    stranger = packets.Headings(master_key(client.method, "c3RyYW5nZXJzc3RyYW5nZQ=="))
    assert stranger.read(client.seal("192.0.2.1", 53, b""))[1] != key_name(client.key)
