import pytest

from vpn.protocols.errors import HTTPError, ProtocolError, SocksError


@pytest.mark.parametrize("kind", [SocksError, HTTPError])
def test_errors_carry_a_reason_and_a_reply(kind):
    error = kind("bad_version", b"\x05\xff")
    assert isinstance(error, ProtocolError)
    assert (error.reason, error.reply) == ("bad_version", b"\x05\xff")
    assert kind("silent").reply == b""
