"""Limits for people: with units, exactly, and in a form that the API reads again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vpn.cli.output import moment
from vpn.domain.units import show_duration, show_rate, show_size

NONE = "none"
"""No limit at all, whatever would be inherited."""

_NEVER = "9999-12-31"
_RATES = ("down", "up", "down_guaranteed", "up_guaranteed", "throttle")
_SIZES = ("data_limit", "burst")
_WEIGHTS = ("share", "priority")


def limit_text(field: str, value: Any) -> str:
    """One limit, as the API shows it, for a person."""
    if isinstance(value, (list, tuple)):
        return "; ".join(map(str, value)) or NONE
    if value == 0 and field not in _WEIGHTS:
        return NONE
    if field in _RATES:
        return show_rate(value)
    if field in _SIZES:
        return show_size(value)
    if field == "expires_after":
        return show_duration(value)
    if field == "expires_at" and value.startswith(_NEVER):
        return "never"
    return str(value)


def expiry_text(limits: Mapping[str, Any], first_used_at: str | None) -> str:
    """When a user expires, by date or by first use, in one cell of a table."""
    from datetime import datetime, timedelta

    moments = []
    if not limits.get("expires_at", _NEVER).startswith(_NEVER):
        moments.append(datetime.fromisoformat(limits["expires_at"]))
    if limits.get("expires_after") and first_used_at:
        moments.append(datetime.fromisoformat(first_used_at) + timedelta(seconds=limits["expires_after"]))
    if moments:
        return moment(min(moments).isoformat())
    return f"{show_duration(limits['expires_after'])} after first use" if limits.get("expires_after") else "-"


def limit_texts(limits: Mapping[str, Any]) -> dict[str, str]:
    """Several, by field."""
    return {field: limit_text(field, value) for field, value in limits.items()}


def shown_limits(limits: Mapping[str, Any]) -> dict[str, str]:
    """Several, by field, with moments as a person reads them."""
    texts = limit_texts(limits)
    if texts.get("expires_at", "never") != "never":
        texts["expires_at"] = moment(texts["expires_at"])
    return texts


def rates_text(limits: Mapping[str, Any]) -> str:
    """Down and up in one cell of a table."""
    if not (limits.get("down") or limits.get("up")):
        return "-"
    return " / ".join(show_rate(limits[way]) if limits.get(way) else "-" for way in ("down", "up"))


def data_text(limits: Mapping[str, Any]) -> str:
    """The data limit and its period in one cell of a table."""
    if not limits.get("data_limit"):
        return "-"
    period = limits.get("reset", "never")
    return show_size(limits["data_limit"]) + ("" if period == "never" else f" {period}")
