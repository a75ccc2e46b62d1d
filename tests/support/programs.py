"""Other people's programs, as clients of ours."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.support.daemon import Result


def find_program(*names: str) -> str:
    """The path of the first of these that is installed; without any the test is skipped."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"{names[0]} is not installed")
    return found


def run_program(*command: str, stdin: str = "", seconds: float = 60, **variables: str) -> Result:
    """Run one program to its end."""
    done = subprocess.run(
        [find_program(command[0]), *command[1:]],
        env=os.environ | variables,
        input=stdin,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)
