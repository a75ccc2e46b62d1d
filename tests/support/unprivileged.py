"""What tests need for running things as an ordinary account."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ACCOUNT = "nobody"

# $1 and $2 name directories, one a line: what everybody must reach, and the closed ones that are in the way. The
# closed ones are covered, in this mount namespace only, and what must be reached is put back.
_OPEN = """
umask 022
scratch=$(mktemp -d)
mount -t tmpfs -o mode=0755 none "$scratch"
number=0
echo "$1" | { while read -r path; do
    number=$((number + 1)); mkdir "$scratch/$number"; mount --bind "$path" "$scratch/$number"
done; }
echo "$2" | while read -r closed; do mount -t tmpfs -o mode=0755 none "$closed"; done
number=0
echo "$1" | { while read -r path; do
    number=$((number + 1)); mkdir -p "$path"; mount --move "$scratch/$number" "$path"
done; }
umount "$scratch"; rmdir "$scratch"
shift 2
exec "$@"
"""


@contextmanager
def open_directory() -> Iterator[Path]:
    """A directory whose path everybody may pass, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def needs_root() -> None:
    """Skip the test unless it runs as root."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another account")


def with_python_in_reach() -> list[str]:
    """The words before a command under which every account can run our Python.

    A Python in root's home, where everything of a developer's machine may lie, is not to be reached by others.
    """
    roots = {Path(path).resolve() for path in (sys.base_prefix, sys.prefix, Path(__file__).parents[2])}
    hidden = {root: closed for root in roots if (closed := _closed_ancestor(root))}
    needed = [root for root in hidden if not any(other in root.parents for other in hidden)]
    if not needed:
        return []
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("Python lies in a closed directory, and mounts are not allowed here")
    closed = {hidden[root] for root in needed}
    return [*unshare, "sh", "-ec", _OPEN, "sh", "\n".join(map(str, needed)), "\n".join(map(str, closed))]


def _closed_ancestor(path: Path) -> Path | None:
    """The outermost directory above a path that others may not pass."""
    return next((each for each in reversed(path.parents) if not each.stat().st_mode & 0o001), None)
