"""The options by which limits are given, one table for all commands that have them.

What is written goes to the API as it is: there, and only there, is it read and judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperOption

ALL = "all"
"""What `--clear` takes for every limit."""

_CLEAR = "clear"
_SAID = "vpn.limits"


class LimitOption(NamedTuple):
    """One option. Its field is the API's; repeatable ones are lists there."""

    field: str
    flag: str
    metavar: str
    help: str
    repeatable: bool = False

    @property
    def key(self) -> str:
        """What `--clear` takes."""
        return self.flag.removeprefix("--")

    @property
    def parameter(self) -> str:
        """The name of the command's parameter."""
        return f"limit_{self.key.replace('-', '_')}"


LIMITS = (
    LimitOption("data_limit", "--data-limit", "SIZE", "Bytes per period, both ways, e.g. 50GB."),
    LimitOption("reset", "--reset", "PERIOD", "never, hourly, daily, weekly, monthly, yearly, or rolling (30 days)."),
    LimitOption("warn_at", "--warn-at", "PERCENT", "Warn when this much of the data limit is used.", True),
    LimitOption("throttle", "--throttle", "RATE", "Beyond the data limit, slow down to this instead of cutting off."),
    LimitOption("expires_at", "--expires", "WHEN", "A date, or a duration from now, e.g. 2026-12-31 or 30d."),
    LimitOption("expires_after", "--expires-after-first-use", "DURATION", "Counted from the first login, e.g. 30d."),
    LimitOption("down", "--down", "RATE", "Towards the client, at most, e.g. 20mbit."),
    LimitOption("up", "--up", "RATE", "From the client, at most, e.g. 5mbit."),
    LimitOption("down_guaranteed", "--guaranteed-down", "RATE", "Towards the client, also when others want more."),
    LimitOption("up_guaranteed", "--guaranteed-up", "RATE", "From the client, also when others want more."),
    LimitOption("share", "--share", "WEIGHT", "1 to 1000: how what is left is shared out."),
    LimitOption("priority", "--priority", "CLASS", "0 to 7: the higher ones come first."),
    LimitOption("burst", "--burst", "SIZE", "What may go at once after a pause, e.g. 256KiB."),
    LimitOption("max_connections", "--max-connections", "COUNT", "Connections at once."),
    LimitOption("connection_rate", "--connection-rate", "COUNT", "New connections per second."),
    LimitOption("max_devices", "--max-devices", "COUNT", "Source addresses at once."),
    LimitOption("sources", "--source", "NETWORK", "Only from this network, e.g. 10.0.0.0/8.", True),
    LimitOption("inbounds", "--inbound", "NAME", "Only by this inbound.", True),
    LimitOption("hours", "--hours", "HOURS", 'Only then, e.g. "mon-fri 08:00-18:00".', True),
    LimitOption("timezone", "--timezone", "ZONE", "Of hours and periods, e.g. Europe/Berlin."),
)
SHARED = tuple(
    LimitOption(each.field, f"--shared-{each.key}", each.metavar, f"All members together: {each.help}")
    for each in LIMITS
    if each.field in ("down", "up", "down_guaranteed", "up_guaranteed", "share", "priority")
)


class LimitedCommand(TyperCommand):
    """A command with the options of `LIMITS`.

    They are made when the command is the one that runs, or whose help is shown: a parameter of a function costs a
    quarter of a millisecond at the start of every command, whichever it is.
    """

    options: ClassVar[Sequence[LimitOption]] = LIMITS
    clearing: ClassVar[bool] = False
    """Whether there is ``--clear``, for commands that change something."""

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters, ours behind the command's own."""
        if not any(each.name == self.options[0].parameter for each in self.params):
            self.params += [_option(each) for each in self.options]
            self.params += [_clear_option(self.options)] if self.clearing else []
        return super().get_params(ctx)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what was said of limits is kept for `limits_said` and `shared_said`."""
        said = {option: ctx.params.pop(option.parameter) for option in self.options}
        cleared = ctx.params.pop(_CLEAR, None) or ()
        kept = {option: _plain(value) for option, value in said.items() if value not in (None, (), [])}
        ctx.meta[_SAID] = _cleared(cleared, self.options) | kept  # what is cleared may be said anew
        return super().invoke(ctx)


class ChangesLimits(LimitedCommand):
    """And ``--clear``."""

    clearing = True


class SharedLimitedCommand(LimitedCommand):
    """And the options of `SHARED`."""

    options = LIMITS + SHARED


class ChangesSharedLimits(SharedLimitedCommand):
    """And ``--clear``."""

    clearing = True


def limits_said(ctx: typer.Context) -> dict[str, Any]:
    """The limits that the options of this command say, by field; None: it is cleared."""
    return _of(LIMITS, ctx)


def shared_said(ctx: typer.Context) -> dict[str, Any]:
    """What the options of this command say of all members together, by field; None: it is cleared."""
    return _of(SHARED, ctx)


def _of(table: Sequence[LimitOption], ctx: typer.Context) -> dict[str, Any]:
    return {option.field: value for option, value in ctx.meta[_SAID].items() if option in table}


def _plain(value: Any) -> Any:
    """A list with the one item "none" says that there is no limit, as the word does elsewhere."""
    if isinstance(value, str):
        return value
    return [] if [each.lower() for each in value] == ["none"] else list(value)


def _cleared(keys: Sequence[str], options: Sequence[LimitOption]) -> dict[LimitOption, None]:
    known = {option.key: option for option in options}
    if unknown := [key for key in keys if key not in known and key != ALL]:
        raise typer.BadParameter(f"--clear {unknown[0]}: give one of {', '.join(known)}, or {ALL}")
    return {option: None for key, option in known.items() if key in keys or ALL in keys}


def _option(option: LimitOption) -> TyperOption:
    return TyperOption(
        param_decls=[option.parameter, option.flag],
        metavar=option.metavar,
        help=option.help,
        multiple=option.repeatable,
    )


def _clear_option(options: Sequence[LimitOption]) -> TyperOption:
    return TyperOption(
        param_decls=[_CLEAR, "--clear"],
        metavar="LIMIT",
        help=f"Say nothing more about this limit, so that it is inherited: e.g. {options[0].key}, or {ALL}.",
        multiple=True,
    )
