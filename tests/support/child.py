"""A few lines of Python in a process of their own, for what cannot be taken back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

_FRAME = """
import json, sys
def answer(value):
    print(json.dumps(value))
"""


def in_child(code: str, *arguments: str, through: Sequence[str] = ()) -> Any:
    """Run `code`, which has `sys.argv[1:]`, and return what it gives to `answer`.

    `through` are the words of another program before it.
    """
    done = subprocess.run(
        [*through, sys.executable, "-c", _FRAME + textwrap.dedent(code), *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
