"""Closing live sessions because somebody says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpn.domain.address import pack
from vpn.domain.destination import DestinationPattern, normal_name, parse_destination
from vpn.domain.session import Session
from vpn.domain.user import canonical

if TYPE_CHECKING:
    from vpn.proxy.control import Cut
    from vpn.proxy.core import Core


def cut_sessions(core: Core, cut: Cut) -> int:
    """Close the live sessions that are meant; returns how many."""
    ids = frozenset(cut.ids)
    pattern = parse_destination(cut.destination) if cut.destination else None
    if not (ids or cut.user or pattern):
        return 0  # somebody wants to know whether we are awake
    meant = [each for each in core.connections if _meant(each.session, cut, ids, pattern)]
    for connection in meant:
        connection.cut(cut.reason)
    return len(meant)


def _meant(session: Session, cut: Cut, ids: frozenset[int], pattern: DestinationPattern | None) -> bool:
    if not session.id or session.ended:
        return False
    if session.id in ids:
        return True
    if not cut.user and pattern is None:
        return False
    if cut.user and canonical(session.user) != cut.user:
        return False
    return pattern is None or goes_to(session, pattern)


def goes_to(session: Session, pattern: DestinationPattern) -> bool:
    """Whether a session's destination is meant, by its name or by its address."""
    if not session.host:
        return False
    host = normal_name(session.host)
    if pattern.matches(host, pack(host), session.port):
        return True
    return bool(session.address) and pattern.matches(session.address, pack(session.address), session.port)
