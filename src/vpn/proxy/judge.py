"""Which addresses may be connected to: by the destination guard, and by the rules where they look at addresses.

A request is judged by name first (vpn.proxy.admission). What that leaves open is decided here, for each address
that the name resolves to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from vpn.domain.acl import Request
from vpn.domain.guard import why_guarded
from vpn.domain.session import Session

if TYPE_CHECKING:
    from vpn.proxy.core import Core


class Guard:
    """Keeps everybody from addresses that are not public, unless the settings allow them."""

    __slots__ = ("_core",)

    looks_at_addresses = False
    """Whether a name has to be resolved here, even where an upstream would do it."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def forbids(self, packed: bytes) -> str:
        """Why nobody may reach this address, e.g. ``private_destination``; empty: it is open."""
        return why_guarded(packed, private_allowed=self._core.outgoing.private_destinations)


class Judge(Guard):
    """Applies the guard and a user's rules, as they are then, to the addresses of one request; notes which decided."""

    __slots__ = ("_request", "_session")

    looks_at_addresses = True

    def __init__(self, core: Core, request: Request, session: Session) -> None:
        super().__init__(core)
        self._request = request
        self._session = session

    def forbids(self, packed: bytes) -> str:
        """Why this user may not reach this address: the guard's reason, ``blocked_by_rule`` or ``not_allowed``."""
        why = super().forbids(packed)
        if why:
            return why
        decision = self._core.pool(self._session.user).decide(msgspec.structs.replace(self._request, packed=packed))
        self._session.rule = decision.name
        return "" if decision.allowed else decision.reason


class Open(Guard):
    """Forbids nothing: for upstreams, which the operator named."""

    __slots__ = ()

    def forbids(self, packed: bytes) -> str:
        """Nothing."""
        return ""
