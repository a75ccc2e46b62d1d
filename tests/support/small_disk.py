"""A disk that is soon full."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

_WAYS = (
    ("unshare", "--mount", "--propagation", "private"),
    ("unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"),
)
_MOUNT = 'mount -t tmpfs -o "size=$1,mode=0700" none "$2"; shift 2; exec "$@"'


def on_small_disk(directory: Path, size: int) -> list[str]:
    """The words before a command for which, and for nobody else, this directory is a disk of so many bytes."""
    for way in _WAYS:
        words = [*way, "sh", "-ec", _MOUNT, "sh", str(size), str(directory)]
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
            return words
    pytest.skip("mounts are not allowed here")


def as_seen_by(process: int, path: Path) -> Path:
    """A path as another process sees it."""
    return Path(f"/proc/{process}/root") / path.relative_to("/")
