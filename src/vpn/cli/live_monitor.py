"""``vpn monitor``: all at a glance, once a second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from vpn.api.client import Client
from vpn.cli.context import Context
from vpn.cli.live_view import PATIENCE, LiveView
from vpn.cli.monitor_picture import ORDERS, picture
from vpn.cli.screen import Line, Size, is_screen, show_plainly, size, watch

MOST = 50  # users, destinations and refusals: what the API tells at most


def monitor(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Show one picture, and end.")] = False,
    interval: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two pictures.")] = 1.0,
) -> None:
    """Show what the service does, once a second.

    Sessions, rates, processes, upstreams, the busiest users and destinations, and who was refused last.

    Keys: q quits, s sorts by something else, p pauses. With --format json one line for each picture.
    """
    if ctx.invoked_subcommand is not None:
        return
    context: Context = ctx.obj
    view = _View(context.client(daemon_only=True, timeout=PATIENCE))
    view.fetch()
    if not context.output.for_people:
        context.output.stream(each.overview for each in _repeated(view, interval, once=once))
    elif once or not is_screen():
        for each in _repeated(view, interval, once=once):
            show_plainly(each.whole())
    else:
        watch(view.fetch_if_wanted, view.draw, view.on_key, interval)


class _View(LiveView):
    """What is shown, and how."""

    def __init__(self, client: Client) -> None:
        super().__init__(ORDERS)
        self._client = client
        self.overview: dict[str, Any] = {}

    def fetch(self) -> None:
        self.overview = self._client.overview(MOST, self.order)

    def draw(self, room: Size) -> list[Line]:
        return picture(self.overview, room, self.order, self.note)

    def whole(self) -> list[Line]:
        """The picture on paper, which has no keys."""
        lines = picture(self.overview, size(), self.order)[:-1]
        while lines and not lines[-1].text:
            lines.pop()
        return lines


def _repeated(view: _View, interval: float, *, once: bool) -> Iterator[_View]:
    """The view, each time that it has something new."""
    yield view
    while not once:
        time.sleep(interval)
        view.fetch()
        yield view
