"""Drives a parser as the handshake does, and writes down what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from vpn.protocols.errors import ProtocolError
from vpn.protocols.events import (
    Accept,
    Answer,
    Associate,
    Authenticate,
    Bind,
    Bound,
    Connect,
    Connected,
    Forward,
    Parser,
    Refused,
    Send,
)
from vpn.protocols.reader import Reader

LOCAL = Connected("192.0.2.7", 40000)
BOUND = Bound("192.0.2.8", 40001)
PEER = Connected("198.51.100.9", 40002)

Asked = Authenticate | Connect | Forward | Bind | Accept | Associate


@dataclass
class Transcript:
    """What a parser said to the bytes it was given."""

    sent: list[bytes] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    rest: bytes = b""
    finished: bool = False
    returned: object = None
    error: ProtocolError | None = None

    @property
    def replies(self) -> bytes:
        """All bytes for the client, the error's among them."""
        return b"".join(self.sent) + (self.error.reply if self.error else b"")


def converse(
    parse: Callable[[Reader], Parser],
    pieces: Iterable[bytes],
    *,
    users: Sequence[tuple[str, str]] = (("alice", "s3cret"),),
    outcome: Connected | Refused = LOCAL,
    bound: Bound | Refused = BOUND,
    peer: Connected | Refused = PEER,
) -> Transcript:
    """Feed the pieces one after the other; what comes after the end is left in the reader.

    `outcome`, `bound` and `peer` answer `Connect` and `Forward`, `Bind` and `Associate`, and `Accept`.
    """
    reader = Reader()
    parser = parse(reader)
    transcript = Transcript()

    def advance() -> None:
        """Until the parser wants bytes, or is done."""
        answer: Answer = None
        while True:
            try:
                step = parser.send(answer)
            except StopIteration as end:
                transcript.finished = True
                transcript.returned = end.value
                return
            except ProtocolError as error:
                transcript.error = error
                return
            match step:
                case None:
                    return
                case Send():
                    transcript.sent.append(step.data)
                    answer = None
                case Authenticate():
                    transcript.asked.append(step)
                    answer = (step.user, step.password) in users
                case Connect() | Forward():
                    transcript.asked.append(step)
                    answer = outcome
                case Bind() | Associate():
                    transcript.asked.append(step)
                    answer = bound
                case Accept():
                    transcript.asked.append(step)
                    answer = peer

    advance()
    for piece in pieces:
        reader.feed(piece)
        if not transcript.finished and transcript.error is None:
            advance()
    transcript.rest = reader.rest()
    return transcript


def in_every_fragmentation(data: bytes) -> Iterable[list[bytes]]:
    """Whole, byte by byte, and cut in two at every place."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]
