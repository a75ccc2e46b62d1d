"""Policies in files, and in an editor."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from vpn.api.client import APIError
from vpn.cli import failures
from vpn.domain.errors import DomainError, Unavailable

LARGEST = 8 * 1024 * 1024  # bytes
AUTHOR_LIMIT = 64

Save = Callable[[dict[str, Any]], dict[str, Any]]


def read_policy(path: Path) -> dict[str, Any]:
    """The document in a file, checked as far as it can be without the daemon.

    Raises:
        Invalid: something in it is wrong; the message says in which line.
        Unavailable: it cannot be read.
    """
    from vpn.domain.policy_document import dump_policy, parse_policy
    from vpn.settings.document import read_document

    document = read_document(path, LARGEST)
    return dump_policy(parse_policy(document.values, document.where))


def edit_until_right(text: str, save: Save) -> dict[str, Any] | None:
    """Let a person change a text in an editor, again and again until it can be saved.

    Returns:
        What `save` returned; None: nothing was changed, or the person gave up.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="vpn-policy-") as directory:  # which only we may enter
        path = Path(directory) / "policy.yaml"
        path.write_text(text)
        path.chmod(0o600)
        while True:
            _edit(path)
            if path.read_text() == text:
                return None
            try:
                return save(read_policy(path))
            except (DomainError, APIError) as error:
                failures.report(error, verbose=False)
                if not sys.stdin.isatty() or not typer.confirm("Edit it again?", default=True):
                    raise


def whoami() -> str:
    """Who runs this command, for the record."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        name = str(os.getuid())
    return name[:AUTHOR_LIMIT]


def _edit(path: Path) -> None:
    import shlex
    import subprocess

    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    hint = "set EDITOR to an editor, or use: vpn policy show, and vpn policy apply FILE"
    try:
        code = subprocess.run([*shlex.split(editor), str(path)], check=False).returncode
    except (OSError, ValueError) as error:
        raise Unavailable("no_editor", f"{editor}: {error}", hint) from None
    if code:
        raise Unavailable("editor_failed", f"{editor} ended with {code}; nothing was changed", hint)
