"""The screen, on a real terminal."""

import os
import signal
import sys
import termios

import pytest

from tests.support.terminal import on_terminal
from tests.support.waiting import until

PROGRAM = """
import sys
from vpn.cli.screen import Line, watch
count = 0
def fetch():
    global count
    count += 1
    if count == 1000 or "--fail" in sys.argv:
        raise RuntimeError("a defect")
def draw(size):
    title = Line(f"{size.columns}x{size.rows} picture {count}", "title")
    return [title, Line("x" * 500)] + [Line("y")] * (size.rows - 2)
keys = ""
def on_key(key):
    global keys
    keys += key
    return key != "q"
watch(fetch, draw, on_key, float(sys.argv[1]))
print("keys", keys)
"""


def run(*arguments, **size):
    return on_terminal([sys.executable, "-c", PROGRAM, *arguments], os.environ | {"PYTHONPATH": "src"}, **size)


def is_restored(terminal, before):
    assert terminal.modes() == before
    assert terminal.output.rpartition("\x1b[?1049l")[1], "the screen from before is back"
    assert terminal.output.rfind("\x1b[?25h") > terminal.output.rfind("\x1b[?25l"), "the cursor too"


def test_it_draws_takes_keys_and_leaves_the_terminal_as_it_was():
    with run("1000") as terminal:
        before = terminal.modes()
        until(lambda: "80x24 picture 1" in terminal.picture())
        until(lambda: not terminal.modes()[3] & termios.ICANON)
        assert "x" * 79 + "…" in terminal.picture()
        terminal.press("s")
        terminal.press("\x1b[A")  # an arrow is no key of ours
        terminal.press("q")
        assert terminal.wait() == 0
        is_restored(terminal, before)
        assert "keys sq" in terminal.output


def test_it_is_drawn_again_and_again():
    with run("0.01") as terminal:
        until(lambda: "picture 20" in terminal.picture())
        terminal.press("q")
        assert terminal.wait() == 0


def test_another_size_is_another_picture_at_once():
    with run("1000") as terminal:
        until(lambda: "80x24" in terminal.picture())
        terminal.resize(133, 30)
        until(lambda: "133x30 picture 1" in terminal.picture())
        assert terminal.picture().count("\r\n") == 29
        terminal.press("q")
        assert terminal.wait() == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_whatever_ends_it_the_terminal_is_left_as_it_was(number, code):
    with run("1000") as terminal:
        before = terminal.modes()
        until(lambda: "picture" in terminal.picture())
        if number == signal.SIGINT:
            terminal.press("\x03")
        else:
            terminal.process.send_signal(number)
        assert terminal.wait() == code
        is_restored(terminal, before)


def test_a_defect_leaves_the_terminal_as_it_was():
    with run("1000", "--fail") as terminal:
        before = terminal.modes()
        assert terminal.wait() == 1
        is_restored(terminal, before)
        assert "a defect" in terminal.output


def test_it_can_be_suspended(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    variables = os.environ | {"PYTHONPATH": "src", "PS1": "ready> "}
    with on_terminal(["bash", "--norc", "--noprofile", "-i"], variables) as terminal:
        until(lambda: "ready> " in terminal.output)
        terminal.press(f"{sys.executable} {program} 1000\r")
        until(lambda: "picture 1" in terminal.picture())
        terminal.press("\x1a")
        until(lambda: "Stopped" in terminal.output)
        assert "\x1b[?1049l" in terminal.output.partition("Stopped")[0], "the shell has its screen"
        terminal.press("fg\r")
        until(lambda: terminal.output.count("\x1b[?1049h") == 2)
        until(lambda: "picture 1" in terminal.picture())
        terminal.press("q")
        until(lambda: "keys q" in terminal.output)
        terminal.press("exit\r")
        assert terminal.wait() == 0
