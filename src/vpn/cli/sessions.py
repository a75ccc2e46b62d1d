"""``vpn sessions``: who is connected to what."""

from __future__ import annotations

import typer

from vpn.cli.live_sessions import kill
from vpn.cli.session_watch import watch_sessions

app = typer.Typer(help="Watch and close sessions.", no_args_is_help=True, rich_markup_mode=None)
app.command("kill")(kill)
app.command("watch")(watch_sessions)
