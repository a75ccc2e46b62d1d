"""A terminal that shows one picture after the other, and is left as it was found.

ANSI's plain sequences do, so no library is imported. On a key, or when the terminal gets another size, the picture
is drawn anew at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, NamedTuple

from vpn.cli.output import fit, write

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"  # another screen, no cursor, no wrapping
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_STYLES = {"plain": "", "title": "\x1b[7m", "strong": "\x1b[1m", "faint": "\x1b[2m", "bad": "\x1b[1;31m"}
_RESET = "\x1b[0m"
_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)  # arrows and the like, which mean nothing here
_END = (signal.SIGTERM, signal.SIGHUP)


class Line(NamedTuple):
    """One line of a picture; its text has nothing in it that moves the cursor."""

    text: str
    style: str = "plain"


class Size(NamedTuple):
    """What fits onto a terminal."""

    columns: int
    rows: int


Draw = Callable[[Size], Sequence[Line]]
OnKey = Callable[[str], bool]
"""Takes a key; returns whether to go on."""


def is_screen() -> bool:
    """Whether there is a terminal that can show pictures."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def size() -> Size:
    """How large the terminal is."""
    found = shutil.get_terminal_size()
    return Size(found.columns, found.lines)


def show_plainly(lines: Sequence[Line]) -> None:
    """Write a picture as text."""
    write("\n".join(line.text.rstrip() for line in lines))


class Screen:
    """The terminal, from `open` on."""

    def __init__(self) -> None:
        self._keys = sys.stdin.fileno() if sys.stdin.isatty() else -1
        self._before: list[Any] = []
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._pressed = ""

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Take the terminal, and give it back whatever happens."""
        handlers = {number: signal.signal(number, _leave) for number in _END}
        handlers[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, self._resized)
        handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspended)
        try:
            self._enter()
            yield
        finally:
            self._leave()
            for number, handler in handlers.items():
                signal.signal(number, handler)
            os.close(self._woken)
            os.close(self._wake)

    def draw(self, lines: Sequence[Line]) -> None:
        """Show a picture, as much of it as there is room for."""
        columns, rows = size()
        drawn = "\r\n".join(_styled(line, columns) for line in lines[:rows])
        # Erasing behind a line that fills its row would take the last character of it.
        rest = "\r\n\x1b[J" if len(lines) < rows else ""
        _put(f"\x1b[H{drawn}{rest}")

    def wait(self, seconds: float) -> str:
        """The key that is pressed within this time; empty: none, or the size has changed."""
        if self._pressed:
            key, self._pressed = self._pressed[0], self._pressed[1:]
            return key
        sources = [self._woken] if self._keys < 0 else [self._woken, self._keys]
        ready, _, _ = select.select(sources, [], [], max(0.0, seconds))
        if self._woken in ready:
            os.read(self._woken, 4096)
        if self._keys not in ready:
            return ""
        pressed = os.read(self._keys, 32)
        if not pressed:
            self._keys = -1  # the terminal is gone, or somebody else reads it
        keys = _SEQUENCE.sub("", pressed.decode(errors="replace"))
        self._pressed = keys[1:]
        return keys[:1]

    def _enter(self) -> None:
        if self._keys >= 0:
            self._before = termios.tcgetattr(self._keys)
            tty.setcbreak(self._keys)  # Ctrl-C still interrupts
        _put(_ENTER)

    def _leave(self) -> None:
        with contextlib.suppress(OSError):  # a terminal that was closed needs no mending
            _put(_LEAVE)
        if self._before:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._keys, termios.TCSADRAIN, self._before)

    def _resized(self, _number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"r")

    def _suspended(self, number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its terminal, and we ours again when we go on."""
        self._leave()
        before = signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, before)
        self._enter()
        self._resized(number, None)


def watch(fetch: Callable[[], None], draw: Draw, on_key: OnKey, interval: float) -> None:
    """Fetch and draw again and again, until `on_key` says that it is enough, or somebody interrupts."""
    screen = Screen()
    with screen.open():
        due = time.monotonic()
        while True:
            if time.monotonic() >= due:
                due = time.monotonic() + interval
                fetch()
            screen.draw(draw(size()))
            key = screen.wait(due - time.monotonic())
            if key and not on_key(key):
                return


def _styled(line: Line, columns: int) -> str:
    text = fit(line.text, columns)
    if line.style == "plain":
        return f"\x1b[2K{text.rstrip()}"
    return f"{_STYLES[line.style]}{text}{_RESET}"


def _put(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
