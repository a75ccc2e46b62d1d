"""The targets of `make fuzz`, with their seeds only: that needs no fuzzer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.driving import hold_to_promises, transcript
from fuzz.targets import TARGETS
from vpn import protocols
from vpn.protocols.events import Connected, Send

CASES = [(name, seed) for name, target in TARGETS.items() for seed in target.seeds]


@pytest.mark.parametrize(("name", "seed"), CASES)
def test_promises_are_kept_for_every_seed(name, seed):
    for cut in range(len(seed) + 1):
        TARGETS[name].call(seed[:cut])


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=100))
def test_promises_are_kept_for_garbage(name, data):
    TARGETS[name].call(data)


def test_every_parser_is_a_target():
    from pathlib import Path

    modules = {path.stem for path in Path(protocols.__file__).parent.glob("*.py")}
    shared = {"__init__", "errors", "events", "reader", "socks_address", "shadowsocks_keys", "packet_window", "xchacha"}
    assert {module for module in modules - shared if not any(name.startswith(module) for name in TARGETS)} == set()


def _crashes(reader):
    yield from reader.exactly(3)
    raise KeyError


def _never_ends(reader):
    while True:
        yield Send(b"x")


def _hoards(reader):
    yield from reader.exactly(1000)


def _cares_for_cuts(reader):
    yield
    yield Send(reader.rest())


@pytest.mark.parametrize(
    ("parse", "error"),
    [(_crashes, KeyError), (_never_ends, AssertionError), (_hoards, AssertionError), (_cares_for_cuts, AssertionError)],
)
def test_broken_promises_are_noticed(parse, error):
    with pytest.raises(error):
        hold_to_promises(parse, 100, bytes(200))


def test_a_transcript_tells_everything():
    def parse(reader):
        answer = yield Send((yield from reader.exactly(2)))
        assert answer is None
        return Connected("x", 1)

    assert transcript(parse, 10, [b"a", b"bc", b"d"], 0) == [Send(b"ab"), "returned", Connected("x", 1), b"cd"]
    assert transcript(parse, 10, [b"a"], 0) == ["waits"]
