import base64

import pytest
from hypothesis import given

from tests.support.links import shadowsocks_links
from vpn.domain.errors import Invalid
from vpn.links.shadowsocks import ShadowsocksLink, build, parse

KEY16, KEY32 = base64.b64encode(bytes(range(16))).decode(), base64.b64encode(b"\xff" * 32).decode()


@given(shadowsocks_links())
def test_what_was_built_is_parsed_again(link):
    assert parse(build(link)) == link


def test_the_examples_of_sip002():
    assert parse("ss://YWVzLTEyOC1nY206dGVzdA@192.168.100.1:8888#Example1") == ShadowsocksLink(
        "aes-128-gcm", "test", "192.168.100.1", 8888, "Example1"
    )
    key = "YctPZ6U7xPPcU+gp3u+0tx/tRizJN9K8y+uKlW2qjlI="
    written = f"ss://2022-blake3-aes-256-gcm:{key.replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}"
    assert parse(f"{written}@192.168.100.1:8888#Example3").password == key
    assert build(ShadowsocksLink("2022-blake3-aes-256-gcm", key, "192.168.100.1", 8888, "Example3")) == (
        f"{written}@192.168.100.1:8888#Example3"
    )


def test_how_it_looks():
    assert build(ShadowsocksLink("aes-256-gcm", "p?>", "2001:db8::1", 1, "my phone")) == (
        "ss://YWVzLTI1Ni1nY206cD8-@[2001:db8::1]:1#my%20phone"
    )
    several = ShadowsocksLink("2022-blake3-aes-128-gcm", f"{KEY16}:{KEY16}", "a.test", 1)
    key = KEY16.replace("=", "%3D").replace("/", "%2F").replace("+", "%2B")
    assert build(several) == f"ss://2022-blake3-aes-128-gcm:{key}%3A{key}@a.test:1"
    plugged = ShadowsocksLink("aes-128-gcm", "x", "a.test", 1, plugin="obfs-local;obfs=http", outline=True)
    assert build(plugged) == "ss://YWVzLTEyOC1nY206eA@a.test:1/?plugin=obfs-local%3Bobfs%3Dhttp&outline=1"


@pytest.mark.parametrize(
    "written",
    [
        "ss://YWVzLTEyOC1nY206YTpiQGM_Pg@h:1#n",  # as it should be
        "ss://YWVzLTEyOC1nY206YTpiQGM/Pg==@h:1#n",  # standard base64, padded
        "SS://YWVzLTEyOC1nY206YTpiQGM%2FPg%3D%3D@h:1#n",
        "ss://aes-128-gcm:a%3Ab%40c%3F%3E@h:1#n",
        "ss://aes-128-gcm%3Aa%3Ab%40c%3F%3E@h:1#n",
        "ss://aes-128-gcm:a:b@c%3F%3E@h:1/#n",
        "ss://YWVzLTEyOC1nY206YTpiQGM/PkBoOjE=#n",  # the oldest form
        "ss://YWVzLTEyOC1nY206YTpiQGM_PkBoOjE#n",
        "  ss://YWVzLTEyOC1nY206YTpiQGM_PkBoOjE/#n\n",
        "ss://YWVzLTEyOC1nY206YTpiQGM_Pg@h:1/?unknown=1&prefix=%16#n",
    ],
)
def test_what_is_read(written):
    assert parse(written) == ShadowsocksLink("aes-128-gcm", "a:b@c?>", "h", 1, "n")


def test_an_alias_is_read_as_what_it_means():
    assert parse("ss://chacha20-poly1305:x@h:1").method == "chacha20-ietf-poly1305"


@pytest.mark.parametrize(
    ("written", "code", "why"),
    [
        ("ss://aes-256-cfb:topsecret@h:1", "bad_method", "'aes-256-cfb' is no Shadowsocks method"),
        ("ss://topSecret:topsecret@h:1", "bad_link", "its method is none"),
        (f"ss://2022-blake3-aes-256-gcm:{KEY16}@h:1", "bad_key", "has 32 bytes, this one has 16"),
        (f"ss://2022-blake3-aes-128-gcm:{KEY16}%3A{KEY32}@h:1", "bad_key", "has 16 bytes, this one has 32"),
        ("ss://2022-blake3-aes-128-gcm:topsecret!@h:1", "bad_key", "not base64"),
        (f"ss://2022-blake3-chacha20-poly1305:{KEY32}%3A{KEY32}@h:1", "bad_key", "is one key, this one has 2"),
        ("ss://topsecret!@h:1", "bad_link", "before the @ is not base64"),
        ("ss://dG9wc2VjcmV0@h:1", "bad_link", "does not hold METHOD:PASSWORD"),
        ("ss://dG9wc2VjcmV0", "bad_link", "does not hold METHOD:PASSWORD@HOST:PORT"),
        ("ss://top!secret", "bad_link", "not base64 either"),
        ("ss://aes-128-gcm:@h:1", "bad_link", "password is missing"),
        ("ss://aes-128-gcm:topsecret@h", "bad_link", "port is missing"),
        ("ss://aes-128-gcm:topsecret@h:65536", "bad_link", "port is not from 1"),
        ("ss://aes-128-gcm:topsecret@h:port", "bad_link", "port is no number"),
        ("ss://aes-128-gcm:topsecret@:1", "bad_link", "host is missing"),
        ("ss://aes-128-gcm:topsecret@h:1?plugin=a&plugin=b", "bad_link", "says plugin twice"),
        ("vless://x@h:1", "bad_link", "does not begin with ss://"),
    ],
)
def test_what_is_wrong_is_said(written, code, why):
    with pytest.raises(Invalid) as caught:
        parse(written)
    assert (caught.value.code, why in caught.value.message) == (code, True), caught.value.message
    said = caught.value.message + caught.value.hint
    assert caught.value.hint
    assert "topsecret" not in said.lower()


@pytest.mark.parametrize(
    "fields",
    [
        ("chacha20-poly1305", "x", "h", 1),
        ("aes-128-gcm", "\ud800", "h", 1),
        ("aes-128-gcm", "x", "h", 1, "\ud800"),
        ("aes-128-gcm", "x", "h", 1, "", "\ud800"),
        ("aes-128-gcm", "", "h", 1),
        ("aes-128-gcm", "x", "h h", 1),
    ],
)
def test_what_cannot_be_written_is_none(fields):
    with pytest.raises(Invalid):
        ShadowsocksLink(*fields)
