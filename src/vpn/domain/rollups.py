"""What sessions come to: sums by the hour, of all of them and of each user, destination, inbound, protocol, reason.

Sums are all that statistics are made of. Those of an hour are added to those of its day and its month, so that a
year is read as quickly as a day, and long after the sessions themselves were forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from vpn.domain.destination import normal_name
from vpn.domain.session import Session
from vpn.domain.spans import HOUR

Kind = Literal["all", "user", "destination", "inbound", "protocol", "reason"]

KINDS: tuple[Kind, ...] = ("all", "user", "destination", "inbound", "protocol", "reason")
OTHERS: Final = "*"
"""The key under which those are put together that are too many to be kept apart."""
_LONGEST = 255  # characters of a key
_PLACES = {"closed": 0, "failed": 1, "rejected_by_acl": 2}


class Stored(NamedTuple):
    """A session that is being stored: one that has ended, or a live one (`active`) of which is said how far it is."""

    session: Session
    sent: int
    """Bytes that it has moved since it was stored before."""
    received: int


class Sums(NamedTuple):
    """What some sessions come to. Sessions count when they have ended, bytes in the hour in which they are stored."""

    closed: int = 0
    failed: int = 0
    rejected: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    milliseconds: int = 0
    """How long those took that ended, together."""

    @property
    def sessions(self) -> int:
        """Those that ended, in whatever way."""
        return self.closed + self.failed + self.rejected

    def plus(self, other: Sums) -> Sums:
        """Both together."""
        return Sums(*(mine + its for mine, its in zip(self, other, strict=True)))


Table = dict[str, Sums]
"""Sums by key."""
Tables = dict[Kind, Table]
_Counts = dict[str, list[int]]
_Ends = dict[tuple[str, str, str], list[int]]


def tally(stored: Iterable[Stored], now: float) -> dict[int, Tables]:
    """Add up sessions, by the hour in which they ended; bytes of live ones belong to the present hour.

    A reason has only sessions that ended, with all that they moved. Twenty thousand sessions a second come through
    here, so that nothing is a loop that can be written out.
    """
    hours: dict[int, tuple[_Counts, _Counts, _Ends]] = {}
    hour = -HOUR
    users: _Counts = {}
    destinations: _Counts = {}
    ends: _Ends = {}
    for session, sent, received in stored:
        ended = session.ended
        place = _PLACES.get(session.status, -1)
        moment = int(ended) if place >= 0 and ended else int(now)
        if not hour <= moment < hour + HOUR:
            hour = moment - moment % HOUR
            users, destinations, ends = hours.setdefault(hour, ({}, {}, {}))
        user = users.get(session.user)
        if user is None:
            user = users[session.user] = [0] * 6
        destination = destinations.get(session.host)
        if destination is None:
            destination = destinations[session.host] = [0] * 6
        way = (session.inbound, session.protocol, session.reason if place >= 0 else "")
        end = ends.get(way)
        if end is None:
            end = ends[way] = [0] * 8
        if place >= 0:
            lasted = round((ended - session.started) * 1000) if ended > session.started else 0
            user[place] += 1
            user[5] += lasted
            destination[place] += 1
            destination[5] += lasted
            end[place] += 1
            end[5] += lasted
            end[6] += session.bytes_sent
            end[7] += session.bytes_received
        if sent or received:
            user[3] += sent
            user[4] += received
            destination[3] += sent
            destination[4] += received
            end[3] += sent
            end[4] += received
    return {hour: _tables(*counts) for hour, counts in hours.items()}


def _tables(users: _Counts, destinations: _Counts, ends: _Ends) -> Tables:
    tables: Tables = {kind: {} for kind in KINDS}
    for user, counts in users.items():
        _add(tables["user"], _key(user), Sums(*counts))
    for destination, counts in destinations.items():
        _add(tables["destination"], _key(normal_name(destination)), Sums(*counts))
    for (inbound, protocol, reason), counts in ends.items():
        sums = Sums(*counts[:6])
        _add(tables["all"], "", sums)
        _add(tables["inbound"], _key(inbound), sums)
        _add(tables["protocol"], _key(protocol), sums)
        if sums.sessions:
            whole = sums._replace(bytes_sent=counts[6], bytes_received=counts[7])
            _add(tables["reason"], _key(reason), whole)
    return tables


def _key(text: str) -> str:
    """Some of it is what clients say, and PostgreSQL takes no NUL."""
    return text.replace("\0", "")[:_LONGEST]


def _add(table: Table, key: str, sums: Sums) -> None:
    before = table.get(key)
    table[key] = sums if before is None else before.plus(sums)


def merge(table: Table, other: Table) -> None:
    """Add a table to another one, the first."""
    if not table:
        table.update(other)
        return
    for key, sums in other.items():
        _add(table, key, sums)


def lump(table: Table, known: Iterable[str], most: int) -> Table:
    """A table with at most so many keys beside those known: the heaviest, and the rest together as `OTHERS`."""
    kept = {key: table[key] for key in known if key in table}
    new = sorted((key for key in table if key not in kept), key=lambda key: (-weight(table[key]), key))
    kept |= {key: table[key] for key in new[:most]}
    for key in new[most:]:
        _add(kept, OTHERS, table[key])
    return kept


def weight(sums: Sums) -> int:
    """By which those are chosen that are kept apart: a session weighs as much as 10 kB."""
    return sums.bytes_sent + sums.bytes_received + 10_000 * sums.sessions
