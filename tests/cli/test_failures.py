import re

import pytest

from vpn.api.client import APIError, Unreachable
from vpn.cli import failures
from vpn.domain.errors import Conflict, Invalid, NotFound, Unavailable


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Invalid("c", "what", "how"), 3),
        (NotFound("c", "what", "how"), 4),
        (Conflict("c", "what", "how"), 5),
        (Unavailable("c", "what", "how"), 7),
        (Unreachable("what", "how"), 7),
        (APIError(422, "c", "what", "how"), 3),
        (APIError(404, "c", "what", "how"), 4),
        (APIError(409, "c", "what", "how"), 5),
        (APIError(401, "c", "what", "how"), 6),
        (APIError(503, "c", "what", "how"), 7),
        (APIError(500, "c", "what", "how"), 1),
    ],
)
def test_one_line_what_and_one_line_how(capsys, error, code):
    assert failures.report(error, verbose=False) == code
    assert capsys.readouterr().err == "vpn: what\n     how\n"


def test_nothing_from_a_server_moves_the_cursor(capsys):
    failures.report(APIError(404, "c", "wh\x1b]0;at\x07", "h\row"), verbose=False)
    assert not set(capsys.readouterr().err) & {"\x1b", "\x07", "\r"}


def test_a_defect_is_said_without_a_traceback_unless_asked_for(capsys):
    assert failures.report(KeyError("x"), verbose=False) == 1
    said = capsys.readouterr().err
    assert "internal error: KeyError: 'x'" in said
    assert "Traceback" not in said
    failures.report(KeyError("x"), verbose=True)
    assert "KeyError" in capsys.readouterr().err


def test_every_code_is_documented():
    documented = set(map(int, re.findall(r"^(\d+) ", failures.__doc__, re.MULTILINE)))
    used = {*failures._OF_DOMAIN.values(), *failures._OF_STATUS.values(), 0, failures.DEFECT, 2, failures.INTERRUPTED}
    assert used == documented
