"""``vpn``: the global options, and the list of command groups."""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from vpn.cli import failures
from vpn.cli.context import Context
from vpn.cli.output import Format, Output
from vpn.domain.errors import Invalid

_COMMANDS = {"serve": "serve", "reload": "reload", "status": "status", "logs": "logs", "version": "status"}
"""Commands, and the modules that they are in."""
_GROUPS = (
    "users",
    "groups",
    "inbounds",
    "policy",
    "bans",
    "links",
    "sessions",
    "stats",
    "subscription",
    "monitor",
    "outline",
)
_WITH_VALUE = ("--format", "--server", "--token", "--data-dir", "--config")
_WITHOUT_VALUE = ("--verbose",)
_TAKES_DOCUMENTS = ["users", "link"]
"""The command whose --format takes more than the formats of results."""


def make_app(name: str = "") -> typer.Typer:
    """The command line; with the name of a command or a group, as much of it as that needs.

    Importing all of them, and making commands of their functions, takes longer than most of them run.
    """
    wanted = name if name in _COMMANDS or name in _GROUPS else ""
    app = typer.Typer(
        name="vpn",
        help="Runs, manages and observes a private VPN and proxy service.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(main)
    for command, module in _COMMANDS.items():
        if wanted in ("", command):
            app.command(command)(getattr(import_module(f"vpn.cli.{module}"), command))
    for group in _GROUPS:
        if wanted in ("", group):
            app.add_typer(import_module(f"vpn.cli.{group}").app, name=group)
    return app


def main(
    ctx: typer.Context,
    format: Annotated[Format, typer.Option(envvar="VPN_FORMAT", help="How results are written.")] = Format.TABLE,
    server: Annotated[
        str | None, typer.Option(envvar="VPN_SERVER", help="A daemon elsewhere, e.g. https://vpn.example.org.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(envvar="VPN_TOKEN", help="The API token for --server; better in VPN_TOKEN.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where the daemon keeps its data; also VPN_DATA_DIR.")] = None,
    config: Annotated[Path | None, typer.Option(help="The configuration file; also VPN_CONFIG.")] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", envvar="VPN_VERBOSE", help="Show where an error comes from.")
    ] = False,
) -> None:
    """These options may stand anywhere on the command line."""
    ctx.obj = Context(Output(format), server, token, data_dir, config)


def run() -> None:
    """The entry point: no exception leaves it."""
    _mend_streams()
    arguments = to_front(sys.argv[1:])
    verbose = "--verbose" in arguments or os.environ.get("VPN_VERBOSE", "").lower() in ("1", "true", "yes", "on")
    try:
        for argument in arguments:
            _check_encoding(argument)
        make_app(_command(arguments))(arguments, prog_name="vpn")
    except KeyboardInterrupt:
        sys.exit(failures.INTERRUPTED)
    except Exception as error:
        sys.exit(failures.report(error, verbose=verbose))


def _mend_streams() -> None:
    """Have all three streams, whatever the caller closed, and let no character be too strange to print."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            # Whatever is opened next would get this number, and be taken for the stream.
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, mode))  # noqa: SIM115 -- for as long as the process lives
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _check_encoding(argument: str) -> None:
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise Invalid("bad_argument", f"{argument!a} is not UTF-8", "write it in UTF-8") from None


def _command(arguments: list[str]) -> str:
    """The first word that is neither a global option nor its value; global options are at the front."""
    words = iter(arguments)
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def to_front(arguments: list[str]) -> list[str]:
    """Move the global options before the command, where Typer wants them."""
    front: list[str] = []
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        if argument == "--":
            return [*front, *rest, argument, *queue]
        if rest[:2] == _TAKES_DOCUMENTS and argument == "--format" and queue and queue[0] not in list(Format):
            rest += [argument, queue.pop(0)]
        elif rest[:2] == _TAKES_DOCUMENTS and argument.startswith("--format=") and argument[9:] not in list(Format):
            rest.append(argument)
        elif argument in _WITH_VALUE and queue:
            front += [argument, queue.pop(0)]
        elif argument in _WITHOUT_VALUE or argument.startswith(tuple(f"{option}=" for option in _WITH_VALUE)):
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest
