import pytest
from hypothesis import given

from tests.support.links import trojan_links
from vpn.domain.errors import Invalid
from vpn.links.stream import Stream
from vpn.links.trojan import TrojanLink, build, parse


@given(trojan_links)
def test_what_was_built_is_parsed_again(link):
    assert parse(build(link)) == link


def test_how_it_looks():
    link = TrojanLink("p@ss word", "a.test", 443, Stream(network="ws", security="tls", path="/w?x"), "n")
    assert build(link) == "trojan://p%40ss%20word@a.test:443?security=tls&type=ws&path=%2Fw%3Fx#n"


def test_without_a_word_on_it_it_is_tls():
    assert parse("trojan://x@h:1?peer=a.test") == TrojanLink("x", "h", 1, Stream(security="tls", sni="a.test"))
    assert parse("trojan://x@h:1?security=none").stream.security == "none"


@pytest.mark.parametrize("text", ["trojan://h:1", "trojan://@h:1", "trojan://x@h", "trojan://%ff@h:1"])
def test_what_is_none(text):
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.code == "bad_link"
