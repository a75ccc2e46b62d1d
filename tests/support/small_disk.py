"""A disk that is soon full."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

_UNSHARE = ("unshare", "--mount", "--propagation", "private")
_MOUNT = 'mount -t tmpfs -o "size=$1,mode=0700" none "$2"; shift 2; exec "$@"'


def on_small_disk(directory: Path, size: int) -> list[str]:
    """The words before a command for which, and for nobody else, this directory is a disk of so many bytes."""
    words = [*_UNSHARE, "sh", "-ec", _MOUNT, "sh", str(size), str(directory)]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounts are not allowed here")
    return words


def beside(process: int) -> list[str]:
    """The words before a command for which the disks are those of another process."""
    return ["nsenter", "--target", str(process), "--mount"]


def as_seen_by(process: int, path: Path) -> Path:
    """A path as another process sees it."""
    return Path(f"/proc/{process}/root") / path.relative_to("/")
