"""The daemon's signals: SIGINT and SIGTERM stop it, SIGHUP reads the settings again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import structlog

from vpn.domain.errors import DomainError
from vpn.observation import Observation
from vpn.services.data_plane import DataPlane


def stop_on_signals(stop: asyncio.Event) -> None:
    """The first signal stops in good order, the second at once; workers follow when we are gone."""

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal, number)


def reload_on_hangup(data_plane: DataPlane, observation: Observation) -> None:
    """SIGHUP reads the settings again from now on; from a terminal that is closed, it goes on meaning to stop."""
    tasks: set[asyncio.Task[None]] = set()

    def on_hangup() -> None:
        observation.reopen()  # even if the settings cannot be read
        task = asyncio.create_task(_reload(data_plane))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    if not sys.stdin.isatty():
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_hangup)


async def _reload(data_plane: DataPlane) -> None:
    log = structlog.get_logger("daemon")
    try:
        await data_plane.reload()
    except DomainError as error:
        log.error("the settings were not reloaded", reason=error.message, hint=error.hint)
