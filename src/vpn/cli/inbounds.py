"""``vpn inbounds``: where clients connect."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import typer

from vpn.api.client import APIError
from vpn.cli.context import Context
from vpn.cli.inbound_options import InboundCommand, fields_said
from vpn.cli.output import write

app = typer.Typer(
    help="Add, list, change and remove inbounds: where clients connect. What is changed is in force at once.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Protocol(StrEnum):
    """What an inbound speaks."""

    SHADOWSOCKS = "shadowsocks"
    SOCKS = "socks"
    HTTP = "http"
    MIXED = "mixed"


Name = Annotated[str, typer.Argument(help="The inbound's name.", show_default=False)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Any other field, as below proxy.inbounds.NAME in the settings."),
]
_LISTEN = "Where, e.g. 0.0.0.0:8388 or [::]:8388; a port alone is one on all IPv4 addresses (0.0.0.0)."
_COLUMNS = ("name", "speaks", "listen", "clients", "up")
_PLAIN_COLUMNS = (
    *("name", "protocol", "method", "listen", "tls", "managed"),
    *("served", "connections", "max_connections", "problem"),
)
_TRIES = 5  # to find a name that nobody else takes at the same moment


@app.command("add", cls=InboundCommand)
def add(
    ctx: typer.Context,
    protocol: Annotated[Protocol, typer.Argument(help="What it speaks; mixed: SOCKS and HTTP.", show_default=False)],
    listen: Annotated[str, typer.Option(help=_LISTEN)],
    name: Annotated[str | None, typer.Option(help="Its name; like the protocol, if left out.")] = None,
    settings: Settings = None,
) -> None:
    """Add an inbound. It is served when this returns, and after every start."""
    context: Context = ctx.obj
    fields = fields_said(ctx, listen, settings or []) | {"protocol": protocol.value}
    inbound = _add(context, protocol.value, name, fields)
    if not context.output.for_people:
        context.output.record(inbound)
        return
    write(f"Added {inbound['name']}: {_speaks(inbound)} on {inbound['listen']}.")
    if inbound["protocol"] == "shadowsocks":
        write("What a user's phone needs:  vpn users link NAME")
    if inbound["public"]["guessed"]:
        host = inbound["public"]["host"]
        write(f"Links will say {host}, a guess; --public-host, or the setting server.public_host, says better.")


@app.command("list")
def list_inbounds(ctx: typer.Context) -> None:
    """List inbounds: those of the settings, and those that were added."""
    context: Context = ctx.obj
    inbounds = context.client().inbounds()
    context.output.rows(
        map(_listed, inbounds) if context.output.for_people else inbounds,
        _COLUMNS if context.output.for_people else _PLAIN_COLUMNS,
        empty="There are no inbounds; add one with: vpn inbounds add PROTOCOL --listen HOST:PORT",
    )
    if context.output.for_people:
        for each in inbounds:
            if each["problem"]:
                write(f"\n{each['name']} is not served: {each['problem']}. It is tried again every few seconds.")


@app.command("show")
def show(ctx: typer.Context, name: Name) -> None:
    """Show an inbound."""
    context: Context = ctx.obj
    context.output.record(_shown(context, context.client().inbound(name)))


@app.command("edit", cls=InboundCommand)
def edit(
    ctx: typer.Context,
    name: Name,
    listen: Annotated[str | None, typer.Option(help=_LISTEN)] = None,
    settings: Settings = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Back to the default, e.g. open-to, tls or idle-timeout; repeatable."),
    ] = None,
) -> None:
    """Change an inbound that was added. Clients that are connected stay."""
    changes = fields_said(ctx, listen, settings or [], clear or [])
    if not changes:
        raise typer.BadParameter("say what to change, with --listen, --public-host, --set FIELD=VALUE, …")
    context: Context = ctx.obj
    context.output.record(_shown(context, context.client().change_inbound(name, changes)))


@app.command("remove")
def remove(
    ctx: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, though clients are connected.")] = False,
) -> None:
    """Remove an inbound. Clients that are connected have proxy.drain_timeout to end."""
    context: Context = ctx.obj
    client = context.client()
    connections = client.inbound(name)["connections"]
    if connections and not yes:
        clients = "1 client is" if connections == 1 else f"{connections} clients are"
        if not sys.stdin.isatty():
            raise typer.BadParameter(f"{clients} connected to {name}; if that is meant, add --yes")
        typer.confirm(f"{clients} connected. Remove {name}?", abort=True, err=True)
    client.remove_inbound(name)
    context.output.sentence(f"Removed {name}.")


def _add(context: Context, protocol: str, name: str | None, fields: dict[str, Any]) -> dict[str, Any]:
    client = context.client()
    if name is not None:
        return client.add_inbound(name, fields)
    for last in (*[False] * (_TRIES - 1), True):
        taken = {inbound["name"] for inbound in client.inbounds()}
        free = next(each for number in range(1, len(taken) + 2) if (each := _numbered(protocol, number)) not in taken)
        try:
            return client.add_inbound(free, fields)
        except APIError as error:
            if error.code != "inbound_exists" or last:
                raise
    raise AssertionError


def _numbered(protocol: str, number: int) -> str:
    return protocol if number == 1 else f"{protocol}-{number}"


def _speaks(inbound: dict[str, Any]) -> str:
    return str(inbound["method"] or inbound["protocol"]) + (" in TLS" if inbound["tls"] else "")


def _public(inbound: dict[str, Any]) -> str:
    public = inbound["public"]
    host = f"[{public['host']}]" if ":" in public["host"] else public["host"]
    return f"{host}:{public['port']}"


def _listed(inbound: dict[str, Any]) -> dict[str, Any]:
    """As a row within 80 columns, which the longest names of ciphers and IPv4 addresses leave."""
    most = inbound["max_connections"]
    return {
        "name": inbound["name"],
        "speaks": _speaks(inbound),
        "listen": inbound["listen"],
        "clients": f"{inbound['connections']}/{most}" if most else inbound["connections"],
        "up": "no" if inbound["problem"] else "yes" if inbound["served"] else "-",
    }


def _shown(context: Context, inbound: dict[str, Any]) -> dict[str, Any]:
    """An inbound as people or programs want to see it."""
    if not context.output.for_people:
        return inbound
    said = inbound["settings"]
    rest = {field: value for field, value in said.items() if field not in {*inbound, "public_host", "public_port"}}
    return {
        "name": inbound["name"],
        "protocol": inbound["protocol"] + (" in TLS" if inbound["tls"] else ""),
        **({"method": inbound["method"]} if inbound["method"] else {}),
        "listen": inbound["listen"],
        "public": _public(inbound) + (" (a guess; see --public-host)" if inbound["public"]["guessed"] else ""),
        "served": "yes" if inbound["served"] else f"no: {inbound['problem'] or 'no daemon is running'}",
        "clients": f"{inbound['connections']} of {inbound['max_connections'] or 'any number'}",
        "managed": "by vpn inbounds" if inbound["managed"] else "by the settings",
        **{field: _text(value) for field, value in rest.items()},
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{part}: {_text(each)}" for part, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
