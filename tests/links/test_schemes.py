import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.links import dynamic_keys, links, wireguard_links
from vpn.domain.errors import Invalid
from vpn.links import wireguard
from vpn.links.schemes import _PARSERS, KINDS, build, parse

ANY = st.one_of(links, dynamic_keys)


@given(ANY)
def test_what_was_built_is_parsed_again(link):
    text = build(link)
    assert parse(text) == link
    assert type(link) in KINDS
    assert text.isascii()
    assert "+" not in text.partition("?")[2]
    assert not any(character.isspace() for character in text)


@given(wireguard_links)
def test_a_configuration_is_read_too(link):
    assert parse(f"\n{wireguard.build_conf(link)}").public_key == link.public_key


_pieces = st.one_of(
    st.text(), st.sampled_from(["@", ":", "/", "?", "#", "%", "=", "&", "[", "]", "::1", ":443", "%ff", "YWVz", "h"])
)


@given(st.sampled_from(sorted(_PARSERS)), st.lists(_pieces, max_size=9).map("".join))
def test_garbage_gives_invalid_only(scheme, rest):
    try:
        parse(f"{scheme}://{rest}")
    except Invalid:
        pass


@given(ANY, st.data())
def test_a_damaged_link_gives_invalid_only(link, data):
    text = build(link)
    place = data.draw(st.integers(0, len(text)))
    damaged = text[:place] + data.draw(_pieces) + text[place + data.draw(st.integers(0, 3)) :]
    try:
        again = parse(damaged)
    except Invalid:
        return
    assert parse(build(again)) == again


@pytest.mark.parametrize("text", ["", "hello", "ftp://x", "://", "[interface]", "ss:x", "\ud800"])
def test_what_is_none(text):
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.code == "bad_link"
