"""``vpn monitor``: all at a glance, once a second."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from vpn.api.client import APIError, Client, Unreachable
from vpn.cli.context import Context
from vpn.cli.monitor_picture import next_order, picture
from vpn.cli.output import Format, write
from vpn.cli.screen import Line, Size, is_screen, show_plainly, size, watch

PATIENCE = 5.0  # seconds that the daemon may take for an answer
MOST = 50  # users, destinations and refusals: what the API tells at most


def monitor(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Show one picture, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write one line of JSON for each picture.")] = False,
    interval: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two pictures.")] = 1.0,
) -> None:
    """Show what the service does, once a second.

    Sessions, rates, processes, upstreams, the busiest users and destinations, and who was refused last.

    Keys: q quits, s sorts by something else, p pauses.
    """
    if ctx.invoked_subcommand is not None:
        return
    context: Context = ctx.obj
    view = _View(context.client(daemon_only=True, timeout=PATIENCE))
    view.fetch()
    if as_json or context.output.format is Format.JSON:
        _repeat(lambda: write(json.dumps(view.overview)), view, interval, once=once)
    elif once or not is_screen():
        _repeat(lambda: show_plainly(view.whole()), view, interval, once=once)
    else:
        watch(view.fetch_if_wanted, view.draw, view.on_key, interval)


class _View:
    """What is shown, and how."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._order = "rate"
        self._paused = False
        self._trouble = ""
        self.overview: dict[str, Any] = {}

    def fetch(self) -> None:
        self.overview = self._client.overview(MOST, self._order)

    def fetch_if_wanted(self) -> None:
        """Get what is new; where there is no answer, the picture stays, and says so."""
        if self._paused:
            return
        try:
            self.fetch()
            self._trouble = ""
        except (Unreachable, APIError) as error:
            self._trouble = error.message

    def draw(self, room: Size) -> list[Line]:
        return picture(self.overview, room, self._order, self._trouble or ("paused" if self._paused else ""))

    def whole(self) -> list[Line]:
        """The picture on paper, which has no keys."""
        lines = picture(self.overview, size(), self._order)[:-1]
        while lines and not lines[-1].text:
            lines.pop()
        return lines

    def on_key(self, key: str) -> bool:
        if key == "s":
            self._order = next_order(self._order)
            paused, self._paused = self._paused, False
            self.fetch_if_wanted()
            self._paused = paused
        elif key == "p":
            self._paused = not self._paused
        return key != "q"


def _repeat(show: Any, view: _View, interval: float, *, once: bool) -> None:
    show()
    while not once:
        time.sleep(interval)
        view.fetch()
        show()
