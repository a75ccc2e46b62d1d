"""``vpn monitor``: what the service does, here and in other programs."""

from __future__ import annotations

import typer

from vpn.cli import dashboards
from vpn.cli.live_monitor import monitor

app = typer.Typer(rich_markup_mode=None)  # what it is for is said by `monitor`
app.callback(invoke_without_command=True)(monitor)
app.add_typer(dashboards.app, name="dashboards")
