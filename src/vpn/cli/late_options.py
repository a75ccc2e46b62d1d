"""Options that a command has many of: a table, of which options are made when the command is the one that runs.

A parameter of a function costs a quarter of a millisecond at the start of every command, whichever it is.
What is written goes to the API as it is: there, and only there, is it read and judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperOption

ALL = "all"
"""What `--clear` takes for every option."""

_CLEAR = "clear"
_SAID = "vpn.said"


class LateOption(NamedTuple):
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
        return f"late_{self.key.replace('-', '_')}"


class LateCommand(TyperCommand):
    """A command with the options of a table."""

    options: ClassVar[Sequence[LateOption]] = ()
    clearing: ClassVar[tuple[str, str] | None] = None
    """Metavar and help of ``--clear``, for commands that have that."""

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters, ours behind the command's own."""
        if not any(each.name == self.options[0].parameter for each in self.params):
            self.params += [_option(each) for each in self.options]
            if self.clearing is not None:
                metavar, text = self.clearing
                self.params.append(
                    TyperOption(param_decls=[_CLEAR, "--clear"], metavar=metavar, help=text, multiple=True)
                )
        return super().get_params(ctx)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what was said is kept for `said`."""
        given = {option: ctx.params.pop(option.parameter) for option in self.options}
        cleared = (ctx.params.pop(_CLEAR, None) or ()) if self.clearing is not None else ()
        kept = {option: _plain(value) for option, value in given.items() if value not in (None, (), [])}
        ctx.meta[_SAID] = _cleared(cleared, self.options) | kept  # what is cleared may be said anew
        return super().invoke(ctx)


def said(ctx: typer.Context, table: Iterable[LateOption]) -> dict[str, Any]:
    """What the options of a table say, by field; None: it is cleared."""
    return {option.field: value for option, value in ctx.meta[_SAID].items() if option in table}


def _plain(value: Any) -> Any:
    """A list with the one item "none" says that there is nothing, as the word does elsewhere."""
    if isinstance(value, str):
        return value
    return [] if [each.lower() for each in value] == ["none"] else list(value)


def _cleared(keys: Sequence[str], options: Sequence[LateOption]) -> dict[LateOption, None]:
    known = {option.key: option for option in options}
    if unknown := [key for key in keys if key not in known and key != ALL]:
        raise typer.BadParameter(f"--clear {unknown[0]}: give one of {', '.join(known)}, or {ALL}")
    return {option: None for key, option in known.items() if key in keys or ALL in keys}


def _option(option: LateOption) -> TyperOption:
    return TyperOption(
        param_decls=[option.parameter, option.flag],
        metavar=option.metavar,
        help=option.help,
        multiple=option.repeatable,
    )
