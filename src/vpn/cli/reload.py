"""``vpn reload``."""

from __future__ import annotations

import typer

from vpn.cli.context import Context
from vpn.cli.output import write


def reload(ctx: typer.Context) -> None:
    """Let the daemon read its configuration file again. Sessions on inbounds that stay are not touched."""
    context: Context = ctx.obj
    done = context.client(daemon_only=True).reload()
    if not context.output.for_people:
        context.output.record(done)
        return
    changes = [f"{what} {', '.join(done[what])}" for what in ("added", "removed", "changed") if done[what]]
    write(f"Inbounds: {'; '.join(changes) or 'as they were'}.")
    if done["restart_needed"]:
        write(f"In force only after a restart: {', '.join(done['restart_needed'])}.")
