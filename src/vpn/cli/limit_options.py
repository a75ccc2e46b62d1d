"""The options by which limits are given, one table for all commands that have them.

What is written goes to the API as it is: there, and only there, is it read and judged.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, Any, NamedTuple

import typer

ALL = "all"
"""What `--clear` takes for every limit."""


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


def with_limits(
    *, shared: bool = False, clearing: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options, and hand what was said to its parameter `limits` (and `shared`).

    Args:
        shared: also those of what the members of a group have together.
        clearing: also ``--clear``, for commands that change something; what is cleared is None.
    """
    options = LIMITS + (SHARED if shared else ())

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**arguments: Any) -> None:
            cleared = _cleared(arguments.pop("clear", None) or [], options)
            said = {option: arguments.pop(option.parameter) for option in options}
            said = {option: value for option, value in said.items() if value not in (None, [])} | cleared
            arguments["limits"] = _of(LIMITS, said)
            if shared:
                arguments["shared"] = _of(SHARED, said)
            command(**arguments)

        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [each for each in own if each.name not in ("limits", "shared")]
        parameters += map(_parameter, options)
        if clearing:
            parameters.append(_clear_parameter(options))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _of(table: Sequence[LimitOption], said: Mapping[LimitOption, Any]) -> dict[str, Any]:
    return {option.field: _plain(value) for option, value in said.items() if option in table}


def _plain(value: Any) -> Any:
    """A list with the one item "none" says that there is no limit, as the word does elsewhere."""
    return [] if isinstance(value, list) and [each.lower() for each in value] == ["none"] else value


def _cleared(keys: Sequence[str], options: Sequence[LimitOption]) -> dict[LimitOption, None]:
    known = {option.key: option for option in options}
    if unknown := [key for key in keys if key not in known and key != ALL]:
        raise typer.BadParameter(f"--clear {unknown[0]}: give one of {', '.join(known)}, or {ALL}")
    return {option: None for key, option in known.items() if key in keys or ALL in keys}


def _parameter(option: LimitOption) -> inspect.Parameter:
    kind = list[str] if option.repeatable else str
    info = typer.Option(option.flag, metavar=option.metavar, help=option.help, show_default=False)
    return _keyword(option.parameter, Annotated[kind | None, info])


def _clear_parameter(options: Sequence[LimitOption]) -> inspect.Parameter:
    text = f"Say nothing more about this limit, so that it is inherited: e.g. {options[0].key}, or {ALL}."
    return _keyword(
        "clear", Annotated[list[str] | None, typer.Option("--clear", metavar="LIMIT", help=text, show_default=False)]
    )


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
