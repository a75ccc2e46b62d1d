"""What can be wrong with what a client sent.

    ProtocolError
    ├── SocksError
    └── HTTPError

Errors of ours are ordinary exceptions; everything here is the client's doing.
"""


class ProtocolError(Exception):
    """The client broke the protocol, or may not go on.

    Args:
        reason: a short stable code for logs and sessions, e.g. ``bad_version``.
        reply: the bytes the client should get before the connection is closed; may be empty.
    """

    def __init__(self, reason: str, reply: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = reply


class SocksError(ProtocolError):
    """Bytes that RFC 1928 or RFC 1929 do not allow, or a client that may not go on."""


class HTTPError(ProtocolError):
    """A request that RFC 9110 or RFC 9112 do not allow, or a client that may not go on."""
