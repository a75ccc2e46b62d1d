"""What a client of Shadowsocks wants, once its stream is opened (vpn.protocols.shadowsocks_header).

client                                server
ATYP ADDR PORT              ──►
                                      there is no reply: the tunnel stands, or the connection is closed

Who it is has been found out by then: by the key that opens the stream.
"""

from __future__ import annotations

from vpn.protocols import socks_address
from vpn.protocols.errors import ProtocolError
from vpn.protocols.events import Connect, Parser, Refused
from vpn.protocols.reader import Reader


def parse(reader: Reader, *, admitted: bool = False) -> Parser:
    """Serve one client of Shadowsocks up to its tunnel.

    Args:
        admitted: its key is a user's, who may come in. There is no other way to say who it is.

    Raises:
        ProtocolError: without a reply.
    """
    if not admitted:
        raise ProtocolError("authentication_failed")
    (kind,) = yield from reader.exactly(1)
    destination = yield from socks_address.destination(reader, kind)
    if destination is None:
        raise ProtocolError("unknown_address_type")
    host, port = destination
    if not host:
        raise ProtocolError("bad_name")
    if port == 0:
        raise ProtocolError("bad_port")
    outcome = yield Connect(host, port)
    if isinstance(outcome, Refused):
        raise ProtocolError(outcome.why.value)
