import msgspec
import pytest
from hypothesis import given

from tests.support.links import proxy_links
from vpn.domain.errors import Invalid
from vpn.links.proxy import ProxyLink, build, build_shared, parse


@given(proxy_links)
def test_what_was_built_is_parsed_again(link):
    assert parse(build(link)) == link


@given(proxy_links.map(lambda link: msgspec.structs.replace(link, scheme="socks5", user=link.user.replace(":", ""))))
def test_so_is_what_phones_share(link):
    assert parse(build_shared(link)) == link


def test_how_it_looks():
    link = ProxyLink("socks5h", "2001:db8::1", 1080, "me@home", "p:a/s s")
    assert build(link) == "socks5h://me%40home:p%3Aa%2Fs%20s@[2001:db8::1]:1080"
    named = ProxyLink("http", "a.test", 1080, "me", "x", "at home +1")
    assert build(named) == "http://me:x@a.test:1080#at%20home%20%2B1"
    assert build_shared(ProxyLink("socks5h", "a.test", 1080, "me", "x", "n")) == "socks://bWU6eA@a.test:1080#n"


def test_a_shared_one_may_be_in_plain_text():
    assert parse("socks://me:x@a.test:1080#n") == ProxyLink("socks5", "a.test", 1080, "me", "x", "n")


@pytest.mark.parametrize("link", [ProxyLink("http", "c", 1, "a", "b"), ProxyLink("socks5", "c", 1, "a:a", "b")])
def test_what_phones_cannot_share(link):
    with pytest.raises(Invalid):
        build_shared(link)


@pytest.mark.parametrize(
    "fields",
    [
        ("ftp", "c", 1, "a", "b"),
        ("http", "c", 0, "a", "b"),
        ("http", "c", 65536, "a", "b"),
        ("http", "", 1, "a", "b"),
        ("http", "c/d", 1, "a", "b"),
        ("http", "fe80::1%eth0", 1, "a", "b"),
        ("http", "c", 1, "\ud800", "b"),
        ("http", "c", 1, "a", "\ud800"),
        ("http", "c", 1, "a", "b", "\ud800"),
    ],
)
def test_what_cannot_be_written_is_none(fields):
    with pytest.raises(Invalid) as caught:
        ProxyLink(*fields)
    assert caught.value.code == "bad_link"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://a:b@c:1",
        "http://c:1",
        "http://a@c:1",
        "http://a:b@c",
        "http://a:b@c:",
        "http://a:b@c:x",
        "http://a:b@c:0",
        "http://a:b@c:65536",
        "http://a:b@c:1111111",
        "http://a:b@:1",
        "http://a:b@[c:1",
        "http://a:b@[::1]1",
        "http://a:b@::1:1",
        "http://a:b@c d:1",
        "http://a:b@c:1\n2",
        "http://a:%ff@c:1",
        "http://a:b@c:1#%ff",
        "socks://a@c:1",
        f"http://a:{'b' * 9000}@c:1",
    ],
)
def test_what_is_no_link(url):
    with pytest.raises(Invalid) as caught:
        parse(url)
    assert caught.value.code == "bad_link"
    assert "socks5h://USER" in caught.value.hint


def test_the_error_does_not_repeat_the_password():
    for url in ("ftp://a:topsecret@c:1", "http://a:topsecret@c:x", "socks://topsecret@c:1", "http://a:topsecret@c"):
        with pytest.raises(Invalid) as caught:
            parse(url)
        assert "topsecret" not in caught.value.message + caught.value.hint
