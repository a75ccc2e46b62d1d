"""``vpn users usage`` and ``vpn users reset-usage``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vpn.cli.context import Context
from vpn.cli.output import bar, moment, write

Name = Annotated[str, typer.Argument(help="The user's name.", show_default=False)]
_BAR = 30  # cells


def usage(
    ctx: typer.Context,
    name: Name,
    days: Annotated[int, typer.Option(min=1, max=3660, help="How many days, up to today.")] = 30,
) -> None:
    """Show what a user has used: of the quota, and day by day."""
    context: Context = ctx.obj
    used = context.client().usage(name, days)
    _show(context, used)
    if context.output.for_people and used["days"]:
        write("")
        _show_days(used["days"])


def reset_usage(ctx: typer.Context, name: Name) -> None:
    """Count a user's present period from nothing; who was over the quota may connect again at once."""
    context: Context = ctx.obj
    _show(context, context.client().reset_usage(name))


def _show(context: Context, used: dict[str, Any]) -> None:
    if not context.output.for_people:
        context.output.record(used)
        return
    from vpn.domain.units import rounded_size

    limit = used.get("data_limit")
    quota = rounded_size(used["used"])
    if limit:
        share = used["used"] / limit
        quota += f" of {rounded_size(limit)}  {bar(share, _BAR)} {share:.0%}"
    period: dict[str, Any] = {key: moment(used[key]) for key in ("period_start", "period_end") if key in used}
    context.output.record(
        {
            "name": used["name"],
            "state": used["state"].replace("_", " "),
            "used": quota,
            "reset": used["reset"],
            **period,
            "connections": used["connections"],
        }
    )


def _show_days(days: list[dict[str, Any]]) -> None:
    from vpn.domain.units import rounded_size

    most = max(day["bytes_up"] + day["bytes_down"] for day in days)
    write(f"{'DAY':10}  {'UP':>9}  {'DOWN':>9}")
    for day in days:
        total = day["bytes_up"] + day["bytes_down"]
        cells = f"{day['day']}  {rounded_size(day['bytes_up']):>9}  {rounded_size(day['bytes_down']):>9}"
        write(f"{cells}  {bar(total / most if most else 0, _BAR)}".rstrip())
