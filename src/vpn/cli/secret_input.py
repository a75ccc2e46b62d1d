"""Secrets that shall not stand in a command line, which others may see."""

from __future__ import annotations

import sys

import typer

_ASK = "-"


def read_secret(said: str | None, name: str) -> str | None:
    """What an option says; ``-``: it is asked for on a terminal, else read as a line of standard input.

    Args:
        name: what is asked for.
    """
    if said != _ASK:
        return said
    if sys.stdin.isatty():
        return str(typer.prompt(name, hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\n")
