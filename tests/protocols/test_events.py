import gc

import pytest

from vpn.protocols import http1, socks5
from vpn.protocols.events import Connect, Refusal, Send


def test_every_protocol_has_words_for_every_refusal():
    assert set(socks5._REPLIES) == set(Refusal)
    assert set(http1._STATUS) == set(Refusal)


def test_events_are_frozen_and_out_of_the_collectors_way():
    event = Connect("example.com", 443)
    with pytest.raises(AttributeError):
        event.port = 80
    assert not gc.is_tracked(event)
    assert not gc.is_tracked(Send(b"x"))
