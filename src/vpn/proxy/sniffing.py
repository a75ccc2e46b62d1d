"""What a tunnel begins with: the name that the client's TLS asks for."""

from __future__ import annotations

from vpn.domain.session import Session
from vpn.protocols.client_hello import HELLO_LIMIT, server_name


def look(session: Session, before: bytes, data: bytes | memoryview) -> bytes | None:
    """Note the name in what the client sends first; what is to be given as `before` next time, or None: no more.

    A hello that is cut up is waited for as long as the client sends; it goes on to the destination meanwhile.
    """
    hello = before + bytes(data[: HELLO_LIMIT - len(before)])
    name = server_name(hello)
    if name:
        session.server_name = name
    return hello if name is None and len(hello) < HELLO_LIMIT else None
