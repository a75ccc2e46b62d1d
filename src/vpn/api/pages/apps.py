"""Which apps there are for which devices, and how each takes a subscription."""

from __future__ import annotations

import base64
from typing import NamedTuple

from vpn.links.documents.imports import import_links
from vpn.links.uri import encode, join_name


class App(NamedTuple):
    """An app, and what to do with it."""

    name: str
    link: str
    """Opens the app with the subscription."""
    steps: str
    """The same by hand."""


_PLATFORMS = {
    "Android": ("Outline", "Hiddify", "v2rayNG", "sing-box", "Clash Meta"),
    "iPhone and iPad": ("Outline", "Shadowrocket", "Streisand", "Hiddify", "sing-box"),
    "Windows": ("Outline", "Hiddify", "Clash Verge"),
    "macOS": ("Outline", "Hiddify", "Clash Verge", "sing-box"),
    "Linux": ("Outline", "Hiddify", "Clash Verge", "sing-box"),
}


def apps_by_platform(url: str, name: str, outline: str) -> dict[str, list[App]]:
    """The apps for each kind of device.

    Args:
        url: of the subscription.
        name: what apps call it.
        outline: the dynamic key or the link that Outline takes; empty: there is none.
    """
    links = import_links(url, name)
    paste = "or copy the link above, and in the app"
    shadowrocket = base64.b64encode(url.encode()).decode()
    apps = {
        each.name: each
        for each in (
            App("Hiddify", links["hiddify"], f"{paste}: New profile, Add from clipboard."),
            App("sing-box", links["sing-box"], f"{paste}: Profiles, New profile, Remote."),
            App("Clash Meta", links["clash"], f"{paste}: Profile, New, URL."),
            App("Clash Verge", links["clash"], f"{paste}: Profiles, paste, Import."),
            App(
                "v2rayNG",
                f"v2rayng://install-sub?url={encode(url)}{join_name(name)}",
                f"{paste}: Subscription group, +, then Update subscription.",
            ),
            App(
                "Shadowrocket",
                f"shadowrocket://add/sub://{shadowrocket}?remark={encode(name)}",
                f"{paste}: +, type Subscribe, paste.",
            ),
            App("Streisand", f"streisand://import/{url}{join_name(name)}", f"{paste}: +, Add from clipboard."),
        )
    }
    if outline:
        what = "dynamic key above" if outline.startswith("ssconf:") else "link of the server below"
        apps["Outline"] = App("Outline", outline, f"or copy the {what}, and in the app: Add server.")
    return {platform: [apps[each] for each in names if each in apps] for platform, names in _PLATFORMS.items()}
