"""``vpn status`` and ``vpn version``."""

from __future__ import annotations

from typing import Any

import typer

from vpn import __version__
from vpn.cli.context import Context
from vpn.cli.output import write
from vpn.domain.units import rounded_size


def status(ctx: typer.Context) -> None:
    """Show how the daemon is."""
    context: Context = ctx.obj
    state = context.client(daemon_only=True).status()
    if not context.output.for_people:
        context.output.record(state)
        return
    workers = state["workers"]
    context.output.record(
        {
            "status": state["status"],
            "version": state["version"],
            "uptime": _duration(state["uptime_seconds"]),
            "users": state["users"],
            "sessions": f"{state['active_sessions']} active, {state['sessions_total']} since the start",
            "traffic": f"{rounded_size(state['bytes_sent'])} sent, {rounded_size(state['bytes_received'])} received",
            **{f"inbound {each['name']}": _inbound(each) for each in state["inbounds"]},
            **{f"upstream {each['name']}": _upstream(each) for each in state["upstreams"]},
            "workers": f"{sum(each['ready'] for each in workers)} of {len(workers)} serving, "
            f"{sum(each['restarts'] for each in workers)} restarts",
        }
    )


def version(ctx: typer.Context) -> None:
    """Show the version of this program."""
    context: Context = ctx.obj
    if context.output.for_people:
        write(f"vpn-manager {__version__}")
    else:
        context.output.record({"version": __version__})


def _inbound(inbound: dict[str, Any]) -> str:
    problem = f", not served: {inbound['problem']}" if inbound["problem"] else ""
    return f"{inbound['protocol']}{' in TLS' if inbound['tls'] else ''} on {inbound['listen']}{problem}"


def _upstream(upstream: dict[str, Any]) -> str:
    state = "ok" if upstream["healthy"] else "failed"
    return f"{state}, {upstream['opened']} connections made, {upstream['reused']} in advance, {upstream['idle']} ready"


def _duration(seconds: float) -> str:
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (left, "s")]
    return " ".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
