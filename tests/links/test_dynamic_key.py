import pytest
from hypothesis import given

from tests.support.links import dynamic_keys
from vpn.domain.errors import Invalid
from vpn.links.dynamic_key import DynamicKey, build, parse, url


@given(dynamic_keys)
def test_what_was_built_is_parsed_again(link):
    assert parse(build(link)) == link


def test_how_it_looks():
    link = DynamicKey("vpn.test", "/sub/abc?format=outline", name="My VPN")
    assert build(link) == "ssconf://vpn.test/sub/abc?format=outline#My%20VPN"
    assert url(link) == "https://vpn.test/sub/abc?format=outline"
    assert url(DynamicKey("::1", "/a", 8443)) == "https://[::1]:8443/a"
    assert parse("ssconf://vpn.test") == DynamicKey("vpn.test", "/")


@pytest.mark.parametrize("text", ["ssconf://", "ssconf:///a", "https://h/a", "ssconf://h:x/a", "ssconf://h/ä"])
def test_what_is_none(text):
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.code == "bad_link"


@pytest.mark.parametrize("path", ["", "a", "/a b", "/a#b", "/a?", "/\n"])
def test_a_path_that_cannot_be_written(path):
    with pytest.raises(Invalid):
        DynamicKey("h", path)
