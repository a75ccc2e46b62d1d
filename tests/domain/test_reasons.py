"""Every reason that the code can give is in the table, and no other."""

import ast
import errno
import re
from pathlib import Path
from typing import get_args

import pytest

import vpn
from vpn.domain.address import _V4, _V6
from vpn.domain.reasons import REASONS, explain
from vpn.domain.session import Status
from vpn.protocols.events import Refusal

SOURCES = Path(vpn.__file__).parent
ROOMS = ("proxy", "protocols", "domain", "services", "api")
# By name of what is called: which argument is a reason. Datagrams and bans have reasons of their own.
CALLS = {
    "end": 1, "_end": 1, "_complete": 1, "_close": 1, "_break": 0, "_fail": 0, "cut": 0, "abandon": 0, "cut_user": 1,
    "close_active": 0, "Unreached": 1, "ProtocolError": 0, "SocksError": 0, "HTTPError": 0, "UpstreamError": 0,
    "MessageError": 0, "_rejected": 0, "_discard": 0, "_not_allowed": 0, "_turn_away": 3,
}  # fmt: skip
FUNCTIONS = {
    "blocked", "unwelcome", "_refused", "become", "direct_refused", "_why_cut", "budget", "reason",
}  # fmt: skip
"""Those that return a reason."""
NOT_OF_SESSIONS = {"upstream_refused", "upstream_bad_name"}
"""Become one of those that end with ``_by_upstream``."""


def texts(node):
    return {
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and re.fullmatch("[a-z][a-z_]+", each.value)
    } - set(get_args(Status))


def name_of(call):
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def given(tree):
    """The reasons that a module gives."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node) in CALLS:
            for argument in node.args[CALLS[name_of(node)] :][:1]:
                if not isinstance(argument, ast.Call):  # another thing, whose reason is its own
                    yield from texts(argument)
            if name_of(node) == "_close" and len(node.args) == 1:
                yield from texts(node.args[0])
        elif isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS:
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and each.value is not None:
                    yield from texts(each.value)
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Attribute) and target.attr == "reason" for target in node.targets
        ):
            yield from texts(node.value)


def found():
    reasons = set()
    for room in ROOMS:
        for path in sorted((SOURCES / room).rglob("*.py")):
            if path.stem not in ("datagram", "shadowsocks_packet", "socks_address", "bans"):
                reasons |= set(given(ast.parse(path.read_text())))
    reasons |= {refusal.value for refusal in Refusal}
    reasons |= {f"{refusal.value}_by_upstream" for refusal in Refusal}
    return reasons | {f"{each.kind}_destination".replace("-", "_") for each in (*_V4, *_V6)}


FOUND = found()


def test_the_code_is_understood():
    assert {"eof", "bad_chunk", "user_expired", "terminated", "name_not_found", "upstream_gone"} - FOUND <= {
        "terminated"
    }
    assert len(FOUND) > 80


def test_every_reason_has_its_meaning():
    assert FOUND - set(REASONS) - NOT_OF_SESSIONS == set()


def test_there_are_no_others():
    assert set(REASONS) - FOUND - {"terminated"} == set()


@pytest.mark.parametrize("reason", REASONS)
def test_a_meaning_is_one_sentence_for_one_code(reason):
    meaning = explain(reason)
    assert meaning[0].isupper()
    assert not meaning.endswith(".")
    assert "\n" not in meaning
    assert REASONS[reason].statuses


def test_what_the_kernel_says_is_explained_and_nothing_else():
    assert explain(errno.errorcode[errno.EADDRNOTAVAIL].lower()) == "The kernel refused to connect (EADDRNOTAVAIL)"
    assert explain("no_such_thing") == ""
    assert explain("") == ""
