"""Whether a client gets what it asks for: it has said who it is, and where it wants to go."""

from __future__ import annotations

from vpn.domain.acl import DEFAULT, request_for
from vpn.domain.session import Session
from vpn.protocols.events import Associate, Bind, Connect, Forward
from vpn.proxy.client import Client
from vpn.proxy.core import Core
from vpn.proxy.judge import Guard, Judge


def admit(
    core: Core, client: Client, session: Session, step: Connect | Forward | Bind | Associate
) -> tuple[str, Guard]:
    """Why the session's user may not have this, e.g. ``too_many_devices`` or ``blocked_by_rule``; empty: he may, as
    far as can be told without the destination's addresses, which the guard is to be asked about.

    The client's connection counts as the user's from then on.
    """
    why = client.become(core.account(session.user), session.source_host, core.poller.now)
    if isinstance(step, Associate):  # every datagram is judged by itself
        return why, core.guard
    session.host, session.port = step.host, step.port
    if not why and isinstance(step, Bind):
        why = core.outgoing.direct_refused(step.host, step.port, session.user)
    return (why, core.guard) if why else _judge(core, client, session)


def _judge(core: Core, client: Client, session: Session) -> tuple[str, Guard]:
    """What the rules say."""
    if core.policy.allows_all:
        session.rule = DEFAULT
        core.counters.allowed_by_default += 1
        return "", core.guard
    request = request_for(session.host, session.port, udp=False, source=client.address, now=session.started)
    decision = core.pool(session.user).foresee(request)
    if decision is None:
        return "", Judge(core, request, session)
    session.rule = decision.name
    if not decision.allowed:
        return decision.reason, core.guard
    note_allowed(core, session)
    return "", core.guard


def note_allowed(core: Core, session: Session) -> None:
    """Count a request that the rules allowed."""
    if session.rule == DEFAULT:
        core.counters.allowed_by_default += 1
    else:
        core.counters.allowed_by_rule += 1
