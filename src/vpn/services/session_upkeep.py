"""What the history of sessions needs beside writing: indexes for what is complete, and an end for what is old."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from vpn.domain.errors import Unavailable
from vpn.domain.session import first_id
from vpn.settings.sessions import SessionSettings
from vpn.store.sessions import SessionStore

LOOK = 1.0  # seconds between two looks for something to index
TRIM = 60.0  # seconds between two looks for something that is too old
PAUSE = 0.02  # seconds in which others may write, between two steps
BUSY = 2000  # sessions stored in a second, from which on indexes wait
_DAY = 86400


class SessionUpkeep:
    """Gives the history its indexes, and removes what is not kept any longer. `run` it.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, store: SessionStore, settings: SessionSettings, clock: Callable[[], float]) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._log = structlog.get_logger("sessions")

    async def run(self) -> None:
        """Look after the history, until cancelled."""
        loop = asyncio.get_running_loop()
        trim = looked = loop.time()
        written, busy = self._store.written, False
        while True:
            tended = False
            now = loop.time()
            if now - looked >= LOOK:
                busy = self._store.written - written > BUSY * (now - looked)
                written, looked = self._store.written, now
            try:
                tended = await self._store.tend(busy=busy)
                if now >= trim:
                    trim = now + TRIM
                    await self.trim()
            except Unavailable as error:
                self._log.warning("the history of sessions cannot be looked after now", reason=error.message)
            except Exception as error:
                # Whatever it was, sessions go on being stored.
                self._log.error("defect while looking after the history of sessions", exc_info=error)
            await asyncio.sleep(PAUSE if tended else LOOK)

    async def trim(self) -> int:
        """Remove what is too old or too much, in small steps; returns how many sessions that were.

        Raises:
            Unavailable: the store cannot be reached.
        """
        days = self._settings.retention_days
        oldest = first_id(self._clock() - days * _DAY) if days else 0
        removed = 0
        while step := await self._store.trim(oldest, self._settings.max_rows):
            removed += step
            await asyncio.sleep(PAUSE)
        if removed:
            self._log.info("old sessions removed", sessions=removed)
        return removed
