"""Real hellos, made by OpenSSL."""

import ssl

import pytest

from vpn.protocols.client_hello import HANDSHAKE, HELLO_LIMIT, server_name

HEADER = 5  # bytes of a record before its content


def hello(name: str = "Example.com", *, version: ssl.TLSVersion | None = None, alpn: int = 0) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if version is not None:
        context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(["x" * 200] * alpn)
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name or None).do_handshake()
    return sent.read()


def records(message: bytes, size: int) -> bytes:
    """The same in records of this size."""
    content = message[HEADER:]
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(message[:3] + len(piece).to_bytes(2) + piece for piece in pieces)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_name_is_found(version):
    assert server_name(hello(version=version)) == "example.com"


def test_what_follows_does_not_matter():
    assert server_name(hello() + b"\x14\x03\x03\x00\x01\x01") == "example.com"
    assert server_name(hello() + b"GET / HTTP/1.1") == "example.com"


def test_it_is_found_as_soon_as_it_has_come():
    whole = hello()
    found = [server_name(whole[:end]) for end in range(len(whole) + 1)]
    first = found.index("example.com")
    assert set(found[:first]) == {None}
    assert set(found[first:]) == {"example.com"}


@pytest.mark.parametrize("size", [40, 100, 511])
def test_it_may_be_cut_into_records(size):
    cut = records(hello(), size)
    assert server_name(cut) == "example.com"
    assert {server_name(cut[:end]) for end in range(len(cut))} == {None, "example.com"}


def test_a_hello_in_countless_records_is_given_up():
    assert server_name(records(hello(), 1)) == ""


def test_a_name_far_behind_is_found():
    long = hello(alpn=10)
    assert 2000 < len(long) < HELLO_LIMIT
    assert server_name(long) == "example.com"


@pytest.mark.parametrize("name", ["", "192.0.2.1"])
def test_without_a_name_there_is_none(name):
    assert server_name(hello(name)) == ""


@pytest.mark.parametrize("bad", [b"\x1b[31m.test", b"a b.test..", b"\xff" * 11, b"-" * 10 + b"\n"])
def test_what_is_no_name_is_none(bad):
    whole = hello("example.com")
    assert server_name(whole.replace(b"example.com", bad)) == ""


def test_a_full_stop_at_the_end_is_left_out():
    assert server_name(hello("example.com").replace(b"example.com", b"example.co.")) == "example.co"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x02\x01\x00\x05hello",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x05\x02",  # a server's hello
        b"\x15\x03\x01\x00\x02\x01\x00",
    ],
)
def test_what_is_no_hello_has_none(data):
    assert server_name(data) == ""


def test_of_nothing_nothing_can_be_told():
    assert server_name(b"") is None
    assert server_name(bytes([HANDSHAKE])) is None


def test_lengths_that_lie_do_no_harm():
    whole = bytearray(hello())
    for at in range(len(whole)):
        for value in (0, 1, 255):
            changed = bytes(whole[:at]) + bytes([value]) + bytes(whole[at + 1 :])
            assert server_name(changed) is None or isinstance(server_name(changed), str)
