"""Looking at live sessions again, when other rules hold."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from vpn.domain.acl import request_for
from vpn.domain.address import pack

if TYPE_CHECKING:
    from vpn.proxy.core import Connection, Core

_BATCH = 200  # sessions looked at before the others have their turn


def revise(core: Core) -> None:
    """Close every session that the rules forbid now; not all at once, where there are many."""
    if core.policy.allows_all:
        return
    _revise(core, core.ruling, [each for each in core.connections if each.session.host and not each.session.ended])


def _revise(core: Core, ruling: object, left: list[Connection]) -> None:
    for connection in left[:_BATCH]:
        if connection in core.connections and not may_go_on(core, connection):
            connection.cut("policy_changed")
    if len(left) > _BATCH and core.ruling is ruling:  # else a later revision looks at all of them
        core.poller.soon(partial(_revise, core, ruling, left[_BATCH:]))


def may_go_on(core: Core, connection: Connection) -> bool:
    """Whether the rules allow what a connection is doing, by all that is known of its destination by now."""
    session = connection.session
    source = connection.client.address
    request = request_for(session.host, session.port, udp=False, source=source, now=time.time())
    if session.address:
        request = msgspec.structs.replace(request, packed=pack(session.address))
    # Without an address, being still resolved or only known to an upstream, a name is judged as it was before.
    decision = core.pool(session.user).foresee(request)
    if decision is None or decision.allowed:
        return True
    session.rule = decision.name
    return False
