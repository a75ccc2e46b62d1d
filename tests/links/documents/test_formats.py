import pytest

from vpn.domain.errors import Invalid
from vpn.links.documents.formats import FORMATS, HTML, find_format, format_for
from vpn.links.documents.profile import Usage

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_every_format_is_written(format, nodes):
    assert format.write(list(nodes.values()), Usage())
    assert find_format(format.name.upper()) is format


def test_a_format_that_there_is_not():
    assert find_format("mihomo") is FORMATS["clash"]
    with pytest.raises(Invalid) as caught:
        find_format("surge")
    assert "base64, plain, clash" in caught.value.hint


@pytest.mark.parametrize(
    ("user_agent", "format"),
    [
        ("clash-verge/v2.4.2", "clash"),
        ("ClashMetaForAndroid/2.11.5.Meta", "clash"),
        ("clash.meta/v1.19.13", "clash"),
        ("mihomo/1.19.13", "clash"),
        ("mihomo.party/v1.8.4 (clash.meta)", "clash"),
        ("FlClash/v0.8.87 clash-verge Platform/android", "clash"),
        ("ClashX Pro/1.118", "clash"),
        ("Stash/3.0.0 Clash/1.9.0", "clash"),
        ("SFA/1.12.8 (570; sing-box 1.12.8; language de_CH)", "sing-box"),
        ("SFI/1.12.8 (Build 1; sing-box 1.12.8; language de)", "sing-box"),
        ("SFM/1.12.8", "sing-box"),
        ("sing-box 1.12.8", "sing-box"),
        ("HiddifyNext/2.5.7 (android) like ClashMeta v2ray sing-box", "sing-box"),
        ("Karing/1.1.2 ClashMeta sing-box", "sing-box"),
        ("v2rayN/7.15.0", "base64"),
        ("v2rayNG/1.10.23", "base64"),
        ("Shadowrocket/2678 CFNetwork/1568 Darwin/24.0.0", "base64"),
        ("NekoBox/Android/1.3.9 (Prefer ClashMeta Format)", "clash"),
        ("nekoray/3.26", "base64"),
        ("Streisand/1.6.63", "base64"),
        ("Happ/3.0.1", "base64"),
        ("Outline", "outline"),
        ("Go-http-client/1.1", "outline"),
        ("Shadowsocks/5.3.4", "sip008"),
        ("curl/8.5.0", "base64"),
        ("", "base64"),
    ],
)
def test_a_client_gets_what_it_wants(user_agent, format):
    assert format_for(user_agent, "*/*") == format
    if format != "base64":
        assert format_for(user_agent, BROWSER) == format  # clients may say that they are browsers


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        (BROWSER, HTML),
        ("application/xml, TEXT/HTML;q=0.5", HTML),
        ("text/html;level=1", HTML),
        ("text/html;q=0", "base64"),
        ("text/html ; q=0.000, */*", "base64"),
        ("application/xhtml+xml", "base64"),
        ("", "base64"),
    ],
)
def test_a_browser_gets_a_page(accept, format):
    assert format_for("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/143.0", accept) == format
