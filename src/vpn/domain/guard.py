"""The destination guard: addresses that nobody may reach, unless the settings allow them."""

from __future__ import annotations

from vpn.domain.address import special_kind
from vpn.domain.rule_index import plain_address


def why_guarded(packed: bytes, *, private_allowed: bool) -> str:
    """Why nobody may reach this address, e.g. ``private_destination``; empty: it is open."""
    # 0.0.0.0 is nobody's address: the kernel would take it for this machine's, and rules would not.
    if private_allowed and any(plain_address(packed)):
        return ""
    kind = special_kind(packed)
    return f"{kind}_destination".replace("-", "_") if kind else ""
