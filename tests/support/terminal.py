"""A program on a terminal of its own, and what it shows there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Terminal:
    """The other end of a program's terminal."""

    def __init__(self, process: subprocess.Popen[bytes], ours: int, theirs: int) -> None:
        self.process = process
        self._ours = ours
        self._theirs = theirs
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Give it another size, and say so."""
        resize(self._theirs, columns, rows)
        self.process.send_signal(signal.SIGWINCH)

    def modes(self) -> list[Any]:
        """How the terminal is set up."""
        return termios.tcgetattr(self._theirs)

    def picture(self) -> str:
        """What was drawn last."""
        return self.output.rpartition("\x1b[H")[2]

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select([self._ours], [], [], 0.1)
                if ready:
                    data = os.read(self._ours, 65536)
                    if not data:
                        return
                    self.output += data.decode(errors="replace")
                elif self.process.poll() is not None:
                    return

    def wait(self) -> int:
        """Wait for the end; returns the exit code."""
        code = self.process.wait(20)
        self._reader.join(5)
        return code


def resize(fd: int, columns: int, rows: int) -> None:
    """Give a terminal another size."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextmanager
def on_terminal(
    command: Sequence[str | Path], environment: Mapping[str, str], columns: int = 80, rows: int = 24
) -> Iterator[Terminal]:
    """Run a program on a terminal of this size; it is killed at the end, if need be."""
    ours, theirs = pty.openpty()
    resize(theirs, columns, rows)
    process = subprocess.Popen(
        ["setsid", "--ctty", *command],  # so that Ctrl-C reaches it
        env=dict(environment) | {"TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    terminal = Terminal(process, ours, theirs)
    try:
        yield terminal
    finally:
        if process.poll() is None:
            process.kill()
        terminal.wait()
        os.close(ours)
        os.close(theirs)
