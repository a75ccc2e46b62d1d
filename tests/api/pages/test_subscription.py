import base64
import hashlib
import re
from datetime import UTC, datetime

import pytest

from tests.support.qr_codes import scan
from vpn.api.pages.subscription import CSP, render
from vpn.domain.user import User
from vpn.links import schemes
from vpn.links.documents.profile import Profile, Usage
from vpn.links.dynamic_key import DynamicKey
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.services.access import UserLink, UserLinks
from vpn.services.subscriptions import Subscription

URL = "http://vpn.example.org:9090/sub/TOKEN"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALICE = User(
    name="alice", password_hash="", credential=1, enabled=True, note="", created_at=NOW, updated_at=NOW, number=1
)
OLD = ShadowsocksLink("aes-256-gcm", "old-secret", "vpn.example.org", 8388, "Café old")
NEW = ShadowsocksLink("2022-blake3-aes-128-gcm", "A" * 22 + "==", "vpn.example.org", 8389, "Café new")
KEY = DynamicKey("vpn.example.org", "/sub/TOKEN?format=outline", name="Café")


def subscription(*links, state="active", period_end=None, **profile):
    found = UserLinks(tuple(UserLink("phones", link, guessed=False) for link in links))
    return Subscription(ALICE, state, found, Profile(**{"title": "Café"} | profile), period_end)


def page(*links, key=None, **fields):
    return render(subscription(*links, **fields), URL, key)


def codes(text):
    return [scan(base64.b64decode(each)) for each in re.findall(r'src="data:image/png;base64,([^"]+)"', text)]


def test_the_codes_are_the_links():
    assert codes(page(OLD, NEW)) == [URL, schemes.build(OLD), schemes.build(NEW)]


def test_a_link_that_fits_in_no_code_is_there_as_text():
    long = ShadowsocksLink("aes-256-gcm", "x" * 3000, "vpn.example.org", 8388, "long")
    text = page(long)
    assert codes(text) == [URL]
    assert f'value="{schemes.build(long)}"' in text


def test_nothing_runs_but_what_is_in_it():
    text = page(OLD, NEW, key=KEY, support="https://example.org/help")
    assert CSP.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        [inner] = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in CSP
    assert not re.search(r"\bon[a-z]+=|style=", text.partition("<body>")[2])
    assert not re.search(r'(src|href)="https?://(?!vpn\.example\.org|example\.org/help)', text)


@pytest.mark.parametrize("nasty", ["<script>alert('1')</script>", '"><img src=x onerror=alert(1)>', "&amp;<b>"])
def test_what_people_wrote_is_text(nasty):
    link = ShadowsocksLink("aes-256-gcm", "x", "vpn.example.org", 8388, nasty)
    text = page(link, title=nasty, key=DynamicKey("vpn.example.org", "/x", name=nasty))
    assert nasty not in text
    assert text.count("<script>") == 1
    assert text.count("<img ") == 2


def test_a_link_to_help_stays_in_its_attribute():
    assert 'href="https://example.org/&#x27;?a=b&amp;c=d"' in page(support="https://example.org/'?a=b&c=d")
    assert "<footer>" not in page()


def test_usage():
    usage = Usage(upload=1000, download=2000, total=4000, expires=4102542245)
    text = page(usage=usage, period_end=NOW)
    assert '<progress max="4000" value="3000">' in text
    assert "3.0 kB of 4.0 kB" in text
    assert "<dt>Begins anew</dt><dd>2026-01-01</dd>" in text
    assert "<dt>Expires</dt><dd>2100-01-02</dd>" in text
    assert '<progress max="4000" value="4000">' in page(usage=Usage(upload=5000, total=4000)), "a bar is full at most"


def test_usage_without_a_limit():
    text = page(usage=Usage(upload=1000, download=2000), period_end=NOW)
    assert "3.0 kB, without a limit" in text
    assert "<progress" not in text.partition("<body>")[2]
    assert "Begins anew" not in text
    assert "<dt>Expires</dt><dd>never</dd>" in text


@pytest.mark.parametrize(
    ("state", "shown", "banner"),
    [
        ("active", "active", ""),
        ("user_expired", "expired", "Your access has expired."),
        ("over_quota", "over quota", "Your data volume is used up."),
        ("outside_hours", "outside hours", "You may not connect at this hour."),
    ],
)
def test_how_the_user_stands(state, shown, banner):
    text = page(OLD, state=state)
    assert f">{shown}</span>" in text
    assert ('role="status"' in text) == bool(banner)
    assert banner in text
    kept_out = state in ("user_expired", "over_quota")
    assert ("Nothing to connect to" in text) == kept_out
    assert (URL in text) == (schemes.build(OLD) in text) == (not kept_out)


@pytest.mark.parametrize(
    "link",
    [
        "clash://install-config?url={quoted}&amp;name=Caf%C3%A9",
        "sing-box://import-remote-profile?url={quoted}#Caf%C3%A9",
        "hiddify://import/{url}#Caf%C3%A9",
        "v2rayng://install-sub?url={quoted}#Caf%C3%A9",
        "streisand://import/{url}#Caf%C3%A9",
        "shadowrocket://add/sub://{base64}?remark=Caf%C3%A9",
    ],
)
def test_apps_are_opened_with_it(link):
    quoted = URL.replace(":", "%3A").replace("/", "%2F")
    link = link.format(url=URL, quoted=quoted, base64=base64.b64encode(URL.encode()).decode())
    assert f'href="{link}"' in page(OLD)


def test_outline_is_opened_with_what_it_takes():
    assert f'href="{schemes.build(OLD)}"' in page(NEW, OLD)
    assert "Outline" not in page(NEW)
    text = page(NEW, OLD, key=KEY)
    assert f'href="{schemes.build(KEY)}"' in text
    assert f'value="{schemes.build(KEY)}"' in text
    assert f'href="{schemes.build(OLD)}"' not in text


def test_files_for_other_apps():
    for name in ("plain", "base64", "clash", "sing-box", "sip008"):
        assert f'href="{URL}?format={name}"' in page(OLD)


def test_without_servers_it_says_so():
    assert "There is no server for apps yet" in page()
