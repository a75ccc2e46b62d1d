"""Whether a client gets what it asks for: it has said who it is, and where it wants to go."""

from __future__ import annotations

from vpn.domain.session import Session
from vpn.proxy.client import Client
from vpn.proxy.core import Core


def refused(core: Core, client: Client, session: Session) -> str:
    """Why the session's user may not have what the client asks for, e.g. ``too_many_devices``; empty: it may.

    From then on the client's connection counts as the user's.
    """
    return client.become(core.account(session.user), session.source_host, core.poller.now)
