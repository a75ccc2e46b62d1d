"""Headers of the PROXY protocol, each in every fragmentation and with bytes behind it."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation import converse, in_every_fragmentation
from vpn.domain.address import Endpoint
from vpn.protocols import proxy_protocol

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = b"\xcb\x00\x71\x07" + b"\xc0\x00\x02\x01" + b"\xdc\x04" + b"\x04\x38"
V6 = b"".join(socket.inet_pton(socket.AF_INET6, each) for each in ("2001:db8::7", "2001:db8::1")) + b"\xdc\x04\x04\x38"
MAPPED = b"".join(socket.inet_pton(socket.AF_INET6, f"::ffff:{each}") for each in ("203.0.113.7", "192.0.2.1"))
CLIENT = Endpoint("203.0.113.7", 56324)


def binary(kind, block, command=0x21):
    return SIGNATURE + bytes([command, kind]) + len(block).to_bytes(2, "big") + block


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1080\r\n", CLIENT),
        (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", Endpoint("255.255.255.255", 65535)),
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 0 0\r\n", Endpoint("203.0.113.7", 0)),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 1080\r\n", Endpoint("2001:db8::7", 56324)),
        (b"PROXY TCP6 2001:0DB8:0:0:0:0:0:0007 ::1 56324 1080\r\n", Endpoint("2001:db8::7", 56324)),
        (
            b"PROXY TCP6 " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 1\r\n",
            Endpoint("ffff:" * 7 + "ffff", 65535),
        ),
        (b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 56324 1080\r\n", CLIENT),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN whatever \xff this is\r\n", None),
        (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", None),  # 107 bytes
    ],
)
@pytest.mark.parametrize("behind", [b"", b"\x05\x01\x02", b"\r\n"])
def test_version_1(header, client, behind):
    for pieces in in_every_fragmentation(header + behind):
        transcript = converse(proxy_protocol.parse, pieces)
        assert transcript.finished
        assert transcript.returned == client
        assert transcript.rest == behind
        assert transcript.replies == b""


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (binary(0x11, V4), CLIENT),
        (binary(0x12, V4), CLIENT),
        (binary(0x21, V6), Endpoint("2001:db8::7", 56324)),
        (binary(0x22, V6), Endpoint("2001:db8::7", 56324)),
        (binary(0x21, MAPPED + V4[8:]), CLIENT),
        (binary(0x11, V4 + b"\x04\x00\x03abc"), CLIENT),
        (binary(0x11, V4 + b"\x01\xff\xff not a TLV"), CLIENT),
        (binary(0x31, bytes(216)), None),
        (binary(0x32, bytes(216)), None),
        (binary(0x00, b""), None),
        (binary(0x00, b"whatever"), None),
        (binary(0x01, V4), None),
        (binary(0x10, V4), None),
        (binary(0x00, b"", command=0x20), None),
        (binary(0x11, V4, command=0x20), None),
        (binary(0xFF, b"x", command=0x20), None),  # LOCAL: the family is ignored
    ],
)
@pytest.mark.parametrize("behind", [b"", b"\x05\x01\x02", SIGNATURE])
def test_version_2(header, client, behind):
    for pieces in in_every_fragmentation(header + behind):
        transcript = converse(proxy_protocol.parse, pieces)
        assert transcript.finished
        assert transcript.returned == client
        assert transcript.rest == behind
        assert transcript.replies == b""


def test_a_block_may_have_4096_bytes():
    header = binary(0x11, V4 + bytes(4096 - len(V4)))
    assert converse(proxy_protocol.parse, [header]).returned == CLIENT


@pytest.mark.parametrize(
    "sent",
    [
        b"\x05",
        b"G",
        b"\r\nGET / HTTP",
        b"PROXYx",
        b"PROXY\tTCP4 203.0.113.7 192.0.2.1 56324 1080\r\n",
        b"PROXY  TCP4 203.0.113.7 192.0.2.1 56324 1080\r\n",
        b"PROXY TCP4 203.0.113.7  192.0.2.1 56324 1080\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1080 \r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 65536\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 05632 1080\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 +1 1080\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 1_0 1080\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1  1080\r\n",
        b"PROXY TCP4 203.0.113.07 192.0.2.1 56324 1080\r\n",
        b"PROXY TCP4 203.0.113 192.0.2.1 56324 1080\r\n",
        b"PROXY TCP4 203.0.113.7 example.com 56324 1080\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 56324 1080\r\n",
        b"PROXY TCP6 203.0.113.7 192.0.2.1 56324 1080\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 56324 1080\r\n",
        b"PROXY TCP4 \x00203.0.113.7 192.0.2.1 56324 1080\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1080\n\r\n",
        b"PROXY tcp4 203.0.113.7 192.0.2.1 56324 1080\r\n",
        b"PROXY UDP4 203.0.113.7 192.0.2.1 56324 1080\r\n",
        b"PROXY UNKNOWN2\r\n",
        b"PROXY \r\n",
        b"PROXY UNKNOWN " + b"f" * 92 + b"\r",  # 107 bytes, and no end
        SIGNATURE[:-1] + b"\r",
        binary(0x11, V4, command=0x11),
        binary(0x11, V4, command=0x22),
        binary(0x11, V4, command=0x30),
        binary(0x41, V4),
        binary(0x13, V4),
        binary(0x11, V4[:-1]),
        binary(0x21, V6[:-1]),
        binary(0x31, bytes(215)),
        SIGNATURE + b"\x20\x00\x10\x01",  # 4097 bytes announced
    ],
)
def test_anything_else_ends_the_connection_without_a_reply(sent):
    for pieces in in_every_fragmentation(sent):
        transcript = converse(proxy_protocol.parse, pieces)
        assert transcript.error is not None
        assert (transcript.error.reason, transcript.replies) == ("bad_proxy_header", b"")


@given(st.lists(st.binary(max_size=40), max_size=20), st.sampled_from([b"", b"PROXY ", b"PROXY TCP6 ", SIGNATURE]))
def test_garbage_yields_only_the_protocols_own_error(pieces, start):
    converse(proxy_protocol.parse, [start, *pieces])


@given(st.ip_addresses(v=4), st.ip_addresses(), st.integers(0, 65535))
def test_both_versions_say_the_same(v4, any_address, port):
    for client in (v4, any_address):
        text = f"PROXY TCP{client.version} {client} {client} {port} 1\r\n".encode()
        block = client.packed * 2 + port.to_bytes(2, "big") + b"\x00\x01"
        told = converse(proxy_protocol.parse, [text]).returned
        assert told == converse(proxy_protocol.parse, [binary(0x11 if client.version == 4 else 0x21, block)]).returned
        assert told.port == port
