"""What can be wrong with what a client, or an upstream proxy, sent.

    ProtocolError
    ├── SocksError
    ├── HTTPError
    └── UpstreamError    an upstream proxy's doing, all others are the client's

Errors of ours are ordinary exceptions; everything here is the peer's doing.
"""

from vpn.protocols.events import Refusal


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


class UpstreamError(ProtocolError):
    """An upstream proxy does not lead to the destination. There is no reply to it: the connection is of no use.

    Args:
        reason: ``upstream_authentication_failed``, ``upstream_bad_reply`` or ``upstream_refused``; or
            ``upstream_bad_name``, when its protocol has no way to write the destination.
        why: what the client is told.
    """

    def __init__(self, reason: str, why: Refusal = Refusal.FAILED) -> None:
        super().__init__(reason)
        self.why = why
