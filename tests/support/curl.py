"""curl, as people use it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.support.daemon import Result


def curl(*arguments: str) -> Result:
    """Run curl; without curl the test is skipped."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    done = subprocess.run(
        [program, "--silent", "--show-error", "--max-time", "20", "--noproxy", "", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)
