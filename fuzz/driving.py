"""Drives a parser over bytes that mean nothing, and holds it to what every parser promises.

Only `ProtocolError` escapes; there are no more steps than bytes (and some); what is buffered stays within the
parser's limit; and it does not matter how the bytes were cut up on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

from vpn.protocols.errors import ProtocolError
from vpn.protocols.events import (
    Accept,
    Associate,
    Authenticate,
    Bind,
    Bound,
    Connect,
    Connected,
    Forward,
    Refusal,
    Refused,
    Send,
)
from vpn.protocols.reader import Reader

Parse = Callable[[Reader], Generator[Any, Any, Any]]

STEPS = 32  # that a parser may take without a byte


def hold_to_promises(parse: Parse, limit: int, data: bytes) -> None:
    """Let the parser read `data` whole, byte by byte, and cut in pieces; its first byte chooses the answers.

    Raises:
        AssertionError: a promise was broken.
    """
    choice, stream = (data[0], data[1:]) if data else (0, b"")
    whole = transcript(parse, limit, [stream], choice)
    single = transcript(parse, limit, [stream[at : at + 1] for at in range(len(stream))], choice)
    size = choice % 13 + 2
    pieces = transcript(parse, limit, [stream[at : at + size] for at in range(0, len(stream), size)], choice)
    assert whole == single == pieces, f"it matters how the bytes are cut up:\n{whole}\n{single}\n{pieces}"


def transcript(parse: Parse, limit: int, pieces: Iterable[bytes], choice: int) -> list[object]:
    """What the parser said, how it ended, and what it left."""
    reader = Reader()
    parser = parse(reader)
    said: list[object] = []
    fed = 0
    waiting = iter(pieces)
    answer = None
    while True:
        try:
            step = parser.send(answer)
        except StopIteration as end:
            return [*said, "returned", end.value, reader.rest() + b"".join(waiting)]
        except ProtocolError as error:
            return [*said, "raised", type(error), error.reason, error.reply]
        if step is None:
            assert len(reader.peek()) <= limit, f"{len(reader.peek())} bytes are buffered"
            piece = next(waiting, None)
            if piece is None:
                return [*said, "waits"]
            reader.feed(piece)
            fed += len(piece)
            answer = None
        else:
            said.append(step)
            assert len(said) <= fed + STEPS, f"{len(said)} steps for {fed} bytes"
            answer = _answer(step, choice)


def _answer(step: object, choice: int) -> object:
    host = "2001:db8::1" if choice & 1 else "192.0.2.1"
    refused = Refused(list(Refusal)[(choice >> 4) % len(Refusal)])
    match step:
        case Send():
            return None
        case Authenticate():
            return not choice & 2
        case Bind() | Associate():
            return refused if choice & 4 else Bound(host, choice)
        case Connect() | Forward() | Accept():
            return refused if choice & 8 else Connected(host, choice)
    raise AssertionError(f"{step} is no step that is known here")
