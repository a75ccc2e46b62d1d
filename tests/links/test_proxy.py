import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpn.domain.errors import Invalid
from vpn.links.proxy import SCHEMES, ProxyLink, build, parse

hosts = st.one_of(
    st.ip_addresses().map(str), st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}\.)?[a-z0-9]{1,10}", fullmatch=True)
)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.builds(ProxyLink, st.sampled_from(SCHEMES), hosts, st.integers(0, 65535), texts, texts))
def test_what_was_built_is_parsed_again(link):
    assert parse(build(link)) == link


def test_how_it_looks():
    link = ProxyLink("socks5h", "2001:db8::1", 1080, "me@home", "p:a/s s")
    assert build(link) == "socks5h://me%40home:p%3Aa%2Fs%20s@[2001:db8::1]:1080"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://a:b@c:1",
        "http://c:1",
        "http://a@c:1",
        "http://a:b@c",
        "http://a:b@c:x",
        "http://a:b@:1",
        "http://a:b@[c:1",
    ],
)
def test_what_is_no_link(url):
    with pytest.raises(Invalid) as caught:
        parse(url)
    assert caught.value.code == "bad_link"


def test_the_error_does_not_repeat_the_password():
    with pytest.raises(Invalid) as caught:
        parse("ftp://a:topsecret@c:1")
    assert "topsecret" not in caught.value.message + caught.value.hint
