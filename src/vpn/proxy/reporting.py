"""What a worker tells about its live sessions: only what is new, for thousands of them twice a second."""

from __future__ import annotations

import resource
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from vpn.domain.session import Session
from vpn.proxy.control import Moved
from vpn.proxy.counters import WorkerGauges, descriptors, memory

if TYPE_CHECKING:
    from vpn.proxy.core import Connection, Core

_State = int | tuple[int, str, str, str, str]


class LiveNews(NamedTuple):
    """What is new about live sessions."""

    sent: int
    """Bytes of all of them."""
    received: int
    active: int
    fresh: list[Session]
    """New ones, and those of which more is known than what they have moved."""
    moved: list[Moved]
    """Of the others, those that have moved something."""


class Told:
    """Remembers what was told about live sessions: of most a number, since nothing but what they move changes.

    A session's details are known when its destination has answered; until then all of them are compared.
    """

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[int, _State] = {}

    def news(self, connections: Iterable[Connection]) -> LiveNews:
        """What is new since this was asked last."""
        before, told = self._told, {}
        get = before.get
        sent = received = 0
        fresh: list[Session] = []
        moved: list[Moved] = []
        for connection in connections:
            session = connection.session
            number = session.id
            if not number or session.ended:  # between two requests, or told in the journal in a moment
                continue
            out, back = session.bytes_sent, session.bytes_received
            state: _State = out + back
            if back:
                sent += out
                received += back
            else:
                sent += out
                state = (out, session.user, session.host, session.address, session.server_name)
            was = get(number)
            if was == state:
                told[number] = was
                continue
            told[number] = state
            if was.__class__ is int or _same_details(was, state):
                moved.append(Moved(number, out, back, session.packets_sent, session.packets_received))
            else:
                fresh.append(session)
        self._told = told
        return LiveNews(sent, received, len(told), fresh, moved)


def _same_details(was: _State | None, state: _State) -> bool:
    return isinstance(was, tuple) and isinstance(state, tuple) and was[1:] == state[1:]


def gauges(core: Core) -> WorkerGauges:
    """How the worker is."""
    pipes = core.pipes
    return WorkerGauges(
        rss=memory(),
        descriptors=descriptors(core.poller.watched + 2 * pipes.made),
        most_descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        loop_lag=core.poller.take_longest(),
        pipes=pipes.made,
        pipes_in_use=pipes.in_use,
        sessions_waiting=core.recorder.waiting,
    )
