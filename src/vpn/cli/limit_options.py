"""The options by which limits are given, one table for all commands that have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import typer

from vpn.cli.late_options import ALL, LateCommand, LateOption, said

LIMITS = (
    LateOption("data_limit", "--data-limit", "SIZE", "Bytes per period, both ways, e.g. 50GB."),
    LateOption("reset", "--reset", "PERIOD", "never, hourly, daily, weekly, monthly, yearly, or rolling (30 days)."),
    LateOption("warn_at", "--warn-at", "PERCENT", "Warn when this much of the data limit is used.", True),
    LateOption("throttle", "--throttle", "RATE", "Beyond the data limit, slow down to this instead of cutting off."),
    LateOption("expires_at", "--expires", "WHEN", "A date, or a duration from now, e.g. 2026-12-31 or 30d."),
    LateOption("expires_after", "--expires-after-first-use", "DURATION", "Counted from the first login, e.g. 30d."),
    LateOption("down", "--down", "RATE", "Towards the client, at most, e.g. 20mbit."),
    LateOption("up", "--up", "RATE", "From the client, at most, e.g. 5mbit."),
    LateOption("down_guaranteed", "--guaranteed-down", "RATE", "Towards the client, also when others want more."),
    LateOption("up_guaranteed", "--guaranteed-up", "RATE", "From the client, also when others want more."),
    LateOption("share", "--share", "WEIGHT", "1 to 1000: how what is left is shared out."),
    LateOption("priority", "--priority", "CLASS", "0 to 7: the higher ones come first."),
    LateOption("burst", "--burst", "SIZE", "What may go at once after a pause, e.g. 256KiB."),
    LateOption("max_connections", "--max-connections", "COUNT", "Connections at once."),
    LateOption("connection_rate", "--connection-rate", "COUNT", "New connections per second."),
    LateOption("max_devices", "--max-devices", "COUNT", "Source addresses at once."),
    LateOption("sources", "--source", "NETWORK", "Only from this network, e.g. 10.0.0.0/8.", True),
    LateOption("inbounds", "--inbound", "NAME", "Only by this inbound.", True),
    LateOption("hours", "--hours", "HOURS", 'Only then, e.g. "mon-fri 08:00-18:00".', True),
    LateOption("timezone", "--timezone", "ZONE", "Of hours and periods, e.g. Europe/Berlin."),
)
SHARED = tuple(
    LateOption(each.field, f"--shared-{each.key}", each.metavar, f"All members together: {each.help}")
    for each in LIMITS
    if each.field in ("down", "up", "down_guaranteed", "up_guaranteed", "share", "priority")
)


_CLEARING = f"Say nothing more about this limit, so that it is inherited: e.g. {LIMITS[0].key}, or {ALL}."


class LimitedCommand(LateCommand):
    """A command with the options of `LIMITS`."""

    options: ClassVar[Sequence[LateOption]] = LIMITS


class ChangesLimits(LimitedCommand):
    """And ``--clear``."""

    clearing = ("LIMIT", _CLEARING)


class SharedLimitedCommand(LimitedCommand):
    """And the options of `SHARED`."""

    options = LIMITS + SHARED


class ChangesSharedLimits(SharedLimitedCommand):
    """And ``--clear``."""

    clearing = ("LIMIT", _CLEARING)


def limits_said(ctx: typer.Context) -> dict[str, Any]:
    """The limits that the options of this command say, by field; None: it is cleared."""
    return said(ctx, LIMITS)


def shared_said(ctx: typer.Context) -> dict[str, Any]:
    """What the options of this command say of all members together, by field; None: it is cleared."""
    return said(ctx, SHARED)
