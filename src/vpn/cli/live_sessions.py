"""Live sessions: ``vpn sessions list --live`` and ``vpn sessions kill``."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from vpn.api.client import APIError, Client
from vpn.cli.context import Context

_MOST = 10_000  # that the API tells


def list_live(client: Client, limit: int, where: dict[str, Any]) -> list[dict[str, Any]]:
    """Live sessions as they are now; `where` is of the filters and the order of the history."""
    known = {"search": "text"}
    said = {known.get(name, name): value for name, value in where.items() if value not in ("", None)}
    return client.live_sessions(**said, limit=min(limit, _MOST))


def kill(
    ctx: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Sessions.", show_default=False)] = None,
    *,
    user: Annotated[str, typer.Option(metavar="NAME", help="All sessions of a user.")] = "",
    destination: Annotated[
        str, typer.Option(metavar="DEST", help="All to a destination: a name, an address, a network, *.example.com.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before closing many.")] = False,
) -> None:
    """Close live sessions: those named, or those of a user, to a destination, or of both."""
    context: Context = ctx.obj
    if bool(ids) == bool(user or destination):
        raise typer.BadParameter("name sessions, or say --user or --destination")
    client = context.client(daemon_only=True)
    if ids:
        _ask(len(ids), yes=yes)
        closed, missing = _kill_each(client, ids)
    else:
        whose = {"user": user, "destination": destination}
        _ask(len(client.live_sessions(**whose)), yes=yes)
        closed, missing = client.terminate_sessions(**whose)["terminated"], None
    if context.output.for_people:
        context.output.sentence(f"Sessions closed: {closed}.")
    else:
        context.output.record({"terminated": closed})
    if missing is not None:
        raise missing


def _kill_each(client: Client, ids: list[str]) -> tuple[int, APIError | None]:
    """Close all that are live; returns how many, and what was wrong with the first that was not."""
    closed, missing = 0, None
    for id in ids:
        try:
            client.terminate_session(id)
            closed += 1
        except APIError as error:
            if error.status != 404:
                raise
            missing = missing or error
    return closed, missing


def _ask(sessions: int, *, yes: bool) -> None:
    """Make sure that many are meant."""
    if yes or sessions <= 1:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"this closes {sessions} sessions; if that is meant, add --yes")
    typer.confirm(f"Close {sessions} sessions?", abort=True, err=True)
