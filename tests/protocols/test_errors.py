import pytest

from vpn.protocols.errors import HTTPError, ProtocolError, SocksError, UpstreamError
from vpn.protocols.events import Refusal


@pytest.mark.parametrize("kind", [SocksError, HTTPError])
def test_errors_carry_a_reason_and_a_reply(kind):
    error = kind("bad_version", b"\x05\xff")
    assert isinstance(error, ProtocolError)
    assert (error.reason, error.reply) == ("bad_version", b"\x05\xff")
    assert kind("silent").reply == b""


def test_errors_of_upstream_proxies_say_what_the_client_is_told():
    error = UpstreamError("upstream_refused", Refusal.TIMED_OUT)
    assert isinstance(error, ProtocolError)
    assert (error.reason, error.reply, error.why) == ("upstream_refused", b"", Refusal.TIMED_OUT)
    assert UpstreamError("upstream_bad_reply").why is Refusal.FAILED
