"""Headers of SOCKS5's datagrams, with and without a payload behind them."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.protocols import datagram
from vpn.protocols.datagram import Datagram
from vpn.protocols.errors import SocksError

TO_V4 = b"\x00\x00\x00\x01\xc0\x00\x02\x01\x00\x35"
TO_V6 = b"\x00\x00\x00\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + b"\x00\x35"
TO_NAME = b"\x00\x00\x00\x03\x0bexample.com\x00\x35"
HEADERS = [
    (TO_V4, Datagram("192.0.2.1", 53, 10)),
    (TO_V6, Datagram("2001:db8::1", 53, 22)),
    (TO_NAME, Datagram("example.com", 53, 18)),
    (b"\x00\x00\x00\x03\x01x\x00\x35", Datagram("x", 53, 8)),
    (b"\x00\x00\x00\x03\xff" + b"x" * 255 + b"\xff\xff", Datagram("x" * 255, 65535, 262)),
]


@pytest.mark.parametrize(("packed", "wanted"), HEADERS)
@pytest.mark.parametrize("payload", [b"", b"\x00", bytes(range(256)) * 255])
@pytest.mark.parametrize("form", [bytes, memoryview, lambda raw: memoryview(bytearray(raw))])
def test_unpack(packed, wanted, payload, form):
    received = form(packed + payload)
    assert datagram.unpack(received) == wanted
    assert bytes(received[wanted.payload :]) == payload


@pytest.mark.parametrize(("packed", "wanted"), HEADERS)
def test_cut_at_every_place_it_is_short(packed, wanted):
    for size in range(len(packed)):
        with pytest.raises(SocksError, match="short_datagram"):
            datagram.unpack(packed[:size])


@pytest.mark.parametrize("fragment", [1, 127, 128, 255])
@pytest.mark.parametrize("packed", [TO_V4, TO_V6, TO_NAME])
def test_frag_other_than_0_is_dropped(packed, fragment):
    with pytest.raises(SocksError, match="fragmented_datagram"):
        datagram.unpack(packed[:2] + bytes([fragment]) + packed[3:] + b"payload")


@pytest.mark.parametrize("reserved", [b"\x00\x01", b"\x01\x00", b"\xff\xff"])
@pytest.mark.parametrize("packed", [TO_V4, TO_V6, TO_NAME])
def test_rsv_must_be_0(packed, reserved):
    with pytest.raises(SocksError, match="bad_datagram"):
        datagram.unpack(reserved + packed[2:] + b"payload")


@pytest.mark.parametrize("kind", [0, 2, 5, 255])
def test_unknown_address_types(kind):
    with pytest.raises(SocksError, match="unknown_address_type"):
        datagram.unpack(b"\x00\x00\x00" + bytes([kind]) + bytes(300))


@pytest.mark.parametrize("packed", [TO_V4, TO_V6, TO_NAME])
def test_nothing_can_be_sent_to_port_0(packed):
    with pytest.raises(SocksError, match="bad_port"):
        datagram.unpack(packed[:-2] + b"\x00\x00payload")


@pytest.mark.parametrize("name", [b"", b"a b", b"a\x00b", b"\xff\xfe"])
def test_bad_names(name):
    with pytest.raises(SocksError, match="bad_name"):
        datagram.unpack(b"\x00\x00\x00\x03" + bytes([len(name)]) + name + b"\x00\x35payload")


@given(
    st.ip_addresses().map(str) | st.from_regex(r"[a-z][a-z0-9.-]{0,60}", fullmatch=True),
    st.integers(1, 65535),
    st.binary(max_size=100),
)
def test_a_header_is_read_as_it_was_written(host, port, payload):
    packed = datagram.header(host, port)
    kinds = {b"\x01": 10, b"\x04": 22, b"\x03": 7 + len(host)}
    read = datagram.unpack(packed + payload)
    assert len(packed) == kinds[packed[3:4]] == read.payload
    assert read.port == port
    assert datagram.header(read.host, port) == packed


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda raw: b"\x00\x00\x00" + raw))
def test_garbage_yields_only_the_protocols_own_error(raw):
    try:
        read = datagram.unpack(raw)
    except SocksError:
        return
    assert raw[: read.payload] == datagram.header(read.host, read.port) or raw[3] == 3


@pytest.mark.parametrize(("packed", "wanted"), HEADERS)
def test_header(packed, wanted):
    assert datagram.header(wanted.host, wanted.port) == packed
