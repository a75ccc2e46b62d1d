import pytest
from hypothesis import given

from tests.support.links import vless_links
from vpn.domain.errors import Invalid
from vpn.links.stream import Stream
from vpn.links.vless import VlessLink, build, parse

ID = "2cae91b3-f85c-433b-88ee-a002b9ed6d61"
REALITY = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI"


@given(vless_links)
def test_what_was_built_is_parsed_again(link):
    assert parse(build(link)) == link


def test_how_it_looks():
    stream = Stream(security="reality", sni="a.test", fingerprint="chrome", public_key=REALITY, spider_x="/")
    link = VlessLink(ID, "2001:db8::1", 443, stream, "xtls-rprx-vision", name="a b")
    assert build(link) == (
        f"vless://{ID}@[2001:db8::1]:443?encryption=none&security=reality&type=tcp&headerType=none"
        f"&sni=a.test&fp=chrome&pbk={REALITY}&spx=%2F&flow=xtls-rprx-vision#a%20b"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("vless://x@h:1", "no UUID"),
        (f"vless://{ID}@h", "port is missing"),
        (f"vless://{ID}@h:1?flow=xtls", "xtls is no flow"),
        (f"vless://{ID}@h:1?type=quic", "quic is no transport"),
        (f"vless://{ID}@h:1?type=ws&type=ws", "says type twice"),
        (f"vless://{ID}@h:1?security=reality", "pbk"),
        ("vless://h:1", "no UUID"),
    ],
)
def test_what_is_wrong_is_said(text, why):
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.code == "bad_link"
    assert why in caught.value.message


def test_an_empty_encryption_is_none():
    with pytest.raises(Invalid, match="encryption"):
        VlessLink(ID, "h", 1, encryption="")
    assert parse(f"vless://{ID}@h:1?encryption=") == VlessLink(ID, "h", 1)
