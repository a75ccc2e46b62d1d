from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.protocols.reader import Reader
from vpn.proxy.speakers import speakers_of


def speakers(protocol, **fields):
    return speakers_of(Inbound("main", protocol, Endpoint("127.0.0.1", 1), **fields))


def test_protocols_are_told_apart_by_the_first_byte():
    mixed = speakers("mixed")
    assert {byte: mixed[byte].protocol for byte in b"\x04\x05"} == {4: "socks4", 5: "socks5"}
    assert {mixed[byte].protocol for byte in b"CGPx"} == {"http"}
    assert 0x16 not in mixed


def test_an_inbound_may_speak_one_protocol_alone():
    assert set(speakers("socks")) == {4, 5}
    assert {speaker.protocol for speaker in speakers("http").values()} == {"http"}


def test_forwarded_requests_tell_of_us_where_that_is_wanted():
    parser = speakers("mixed", via="gate")[ord("G")].parse(Reader(b"GET http://a/ HTTP/1.1\r\n\r\n"), admitted=True)
    assert b"Via: 1.1 gate\r\n" in next(parser).head
