"""What a user sees of a subscription in a browser: how things stand, the codes to scan, and what to do with which app.

Whatever comes from somebody is escaped; the page's policy lets nothing be loaded or run but what is in it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import count

from vpn.api.pages.apps import App, apps_by_platform
from vpn.api.pages.style import SCRIPT, STYLE
from vpn.domain.errors import Invalid
from vpn.domain.shadowsocks import method_of
from vpn.domain.units import rounded_size
from vpn.links import qr, schemes
from vpn.links.dynamic_key import DynamicKey
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.services.access import UserLink
from vpn.services.subscriptions import Subscription, why

Draw = Callable[[str], bytes]
"""Draws a QR code, as a PNG picture."""
_OFFERED = ("plain", "base64", "clash", "sing-box", "sip008")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


CSP = (
    f"default-src 'none'; style-src {_digest(STYLE)}; script-src {_digest(SCRIPT)}; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy."""


def render(subscription: Subscription, url: str, key: DynamicKey | None, draw: Draw = qr.png) -> str:
    """The page.

    Args:
        url: of the subscription, as the browser has found it.
        key: what Outline takes for it; None: it cannot take it.
        draw: draws the codes.
    """
    numbers = count(1)
    profile = subscription.profile
    parts = [_header(subscription), _usage(subscription)]
    if subscription.kept_out:
        parts.append(_section("Nothing to connect to", "<p>Ask whoever gave you this page.</p>"))
    else:
        apps = apps_by_platform(url, profile.title, _for_outline(subscription, key))
        parts += [_fetching(url, key, numbers, draw), _apps(url, apps), _servers(subscription, numbers, draw)]
    if profile.support:
        parts.append(f'<footer><a href="{escape(profile.support)}" rel="noreferrer">Help</a></footer>')
    title = f"{escape(profile.title)}: {escape(subscription.user.name)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f'<meta name="color-scheme" content="light dark"><style>{STYLE}</style></head>'
        f"<body><main>{''.join(parts)}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _header(subscription: Subscription) -> str:
    name, title = escape(subscription.user.name), escape(subscription.profile.title)
    reason = why(subscription.state)
    state = subscription.state.removeprefix("user_").replace("_", " ")
    mark = f'<span class="state{" bad" if reason else ""}">{escape(state)}</span>'
    banner = f'<section class="banner" role="status">{escape(reason)}.</section>' if reason else ""
    return f'<header><h1>{name}</h1><span class="soft">{title}</span>{mark}</header>{banner}'


def _usage(subscription: Subscription) -> str:
    usage = subscription.profile.usage
    used = usage.upload + usage.download
    facts = {"Downloaded": rounded_size(usage.download), "Uploaded": rounded_size(usage.upload)}
    if subscription.period_end is not None and usage.total:
        facts["Begins anew"] = f"{subscription.period_end:%Y-%m-%d}"
    facts["Expires"] = "never" if usage.expires is None else f"{datetime.fromtimestamp(usage.expires, UTC):%Y-%m-%d}"
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    if usage.total:
        line = f"{rounded_size(used)} of {rounded_size(usage.total)}"
        bar = f'<progress max="{usage.total}" value="{min(used, usage.total)}">{line}</progress>'
    else:
        line, bar = f"{rounded_size(used)}, without a limit", ""
    return _section("Usage", f'<p>{line}</p>{bar}<dl class="facts">{listed}</dl>')


def _fetching(url: str, key: DynamicKey | None, numbers: count[int], draw: Draw) -> str:
    body = (
        "<p>Scan it in your app, or copy it there. The app keeps it up to date. Keep it to yourself: "
        f"whoever has it connects as you.</p>{_picture(url, 'QR code of the subscription', draw)}"
        f"{_copyable(url, 'Subscription URL', numbers)}"
    )
    if key is not None:
        body += f'<p class="soft">For Outline, the dynamic key:</p>{_copyable(schemes.build(key), "Outline", numbers)}'
    return _section("Your subscription", body)


def _for_outline(subscription: Subscription, key: DynamicKey | None) -> str:
    """What Outline takes: the dynamic key, else a link with a cipher that it knows."""
    if key is not None:
        return schemes.build(key)
    for each in subscription.links.links:
        if isinstance(each.link, ShadowsocksLink) and method_of(each.link.method).edition == 1:
            return each.uri
    return ""


def _apps(url: str, platforms: Mapping[str, Sequence[App]]) -> str:
    groups = {platform: "".join(map(_app, apps)) for platform, apps in platforms.items()}
    documents = ", ".join(f'<a href="{escape(url)}?format={name}">{name}</a>' for name in _OFFERED)
    groups["Other apps"] = f"<p>Most take the link above. For all others there are files: {documents}</p>"
    body = "".join(f"<details><summary>{escape(name)}</summary>{body}</details>" for name, body in groups.items())
    return _section("Your device", f"<p>Install one of these apps, and open it from here:</p>{body}")


def _app(app: App) -> str:
    name = escape(app.name)
    button = f'<a class="button" href="{escape(app.link)}">Open in {name}</a>'
    return f'<div class="app"><div><h3>{name}</h3><span class="soft">{escape(app.steps)}</span></div>{button}</div>'


def _servers(subscription: Subscription, numbers: count[int], draw: Draw) -> str:
    links = subscription.links.links
    if not links:
        return _section("Servers", "<p>There is no server for apps yet. Ask whoever gave you this page.</p>")
    return _section("Servers", "".join(_server(each, numbers, draw) for each in links))


def _server(link: UserLink, numbers: count[int], draw: Draw) -> str:
    name = escape(link.link.name or link.inbound)
    kind = (
        f"Shadowsocks, {link.link.method}" if isinstance(link.link, ShadowsocksLink) else schemes.KINDS[type(link.link)]
    )
    return (
        f'<details><summary>{name}</summary><p class="soft">{escape(kind)}</p>'
        f"{_picture(link.uri, f'QR code of {link.link.name}', draw)}{_copyable(link.uri, link.link.name, numbers)}"
        "</details>"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{title}</h2>{body}</section>"


def _picture(text: str, description: str, draw: Draw) -> str:
    try:
        picture = base64.b64encode(draw(text)).decode()
    except Invalid:  # it does not fit; there is the text beside it
        return ""
    return f'<img class="code" alt="{escape(description)}" src="data:image/png;base64,{picture}">'


def _copyable(text: str, label: str, numbers: count[int]) -> str:
    field = f"text-{next(numbers)}"
    return (
        f'<div class="copy"><input id="{field}" readonly aria-label="{escape(label)}" value="{escape(text)}">'
        f'<button type="button" hidden data-copies="{field}" data-done="Copied">Copy</button></div>'
    )
