import pytest
from pydantic import ValidationError

from vpn.settings.subscriptions import SubscriptionSettings


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("", ""),
        ("https://vpn.example.org", "https://vpn.example.org"),
        ("https://vpn.example.org/", "https://vpn.example.org"),
        ("http://[2001:db8::1]:8443/a/b/", "http://[2001:db8::1]:8443/a/b"),
    ],
)
def test_what_urls_begin_with(url, kept):
    assert SubscriptionSettings(url=url).url == kept


@pytest.mark.parametrize(
    "url",
    [
        "vpn.example.org",
        "ftp://vpn.example.org",
        "https://",
        "https://user:password@vpn.example.org",
        "https://vpn.example.org/?a=b",
        "https://vpn.example.org/?",
        "https://vpn.example.org/#a",
        "https://vpn.example.org:99999",
        "https://vpn example.org",
        "https://[::1",
        "https://vpn.example.org/\n",
        'https://vpn.example.org/"',
        "https://vpn.example.org/[",
        "https://vpn.example.org\n",
        "https://vpn.example.org/café",
    ],
)
def test_what_no_url_is(url):
    with pytest.raises(ValidationError, match="a URL as https://"):
        SubscriptionSettings(url=url)


@pytest.mark.parametrize("url", ["https://example.org/help?a=b#c", "mailto:help@example.org", "tg://resolve?domain=x"])
def test_where_help_is(url):
    assert SubscriptionSettings(support_url=url).support_url == url


@pytest.mark.parametrize("url", ["javascript:alert(1)", "help", "https://example.org/ x", "https://example.org/\r\nx"])
def test_where_no_help_is(url):
    with pytest.raises(ValidationError, match="a link that begins with"):
        SubscriptionSettings(support_url=url)
