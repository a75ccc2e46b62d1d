import base64

import pytest
from hypothesis import given

from tests.support.links import texts
from vpn.domain.errors import Invalid
from vpn.links.documents.profile import Profile, Usage, headers


def test_the_headers():
    profile = Profile(
        title="My VPN",
        usage=Usage(upload=1, download=2, total=3, expires=4),
        web_page="https://vpn.test/sub/x",
        support="https://t.me/x",
        announce="maintenance on Sunday",
    )
    assert headers(profile, "yaml") == {
        "subscription-userinfo": "upload=1; download=2; total=3; expire=4",
        "profile-update-interval": "12",
        "profile-title": "My VPN",
        "profile-web-page-url": "https://vpn.test/sub/x",
        "support-url": "https://t.me/x",
        "announce": "maintenance on Sunday",
        "content-disposition": "attachment; filename=\"My-VPN.yaml\"; filename*=UTF-8''My%20VPN.yaml",
    }


def test_what_is_unlimited_is_said_as_0():
    found = headers(Profile(title="x"))
    assert found["subscription-userinfo"] == "upload=0; download=0; total=0; expire=0"
    assert set(found) == {"subscription-userinfo", "profile-update-interval", "profile-title"}


def test_a_title_is_at_most_25_characters_and_ascii_or_base64():
    assert headers(Profile(title="x" * 30))["profile-title"] == "x" * 25
    title = headers(Profile(title="Zürich " * 9))["profile-title"]
    assert base64.b64decode(title.removeprefix("base64:")).decode() == ("Zürich " * 9)[:25]


@given(texts, texts)
def test_no_header_is_more_than_one_line_of_ascii(title, announce):
    for value in headers(Profile(title=title, announce=announce), "conf").values():
        assert value.isascii()
        assert value.isprintable()


@pytest.mark.parametrize("url", ["https://a\r\nX: y", "https://ä", "https://a b"])
def test_what_is_no_url(url):
    for field in ("web_page", "support"):
        with pytest.raises(Invalid):
            Profile(title="x", **{field: url})
