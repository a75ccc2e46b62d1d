"""Memory that is not used any more goes back to the kernel.

Verifying a password takes 19 MiB for a moment. glibc learns from that, and keeps as much for the next time, which
saves a third of the time of a verification; when there are none for a while it is still there.
"""

from __future__ import annotations

import asyncio
import ctypes

PAUSE = 5.0  # seconds between two times; one takes a millisecond or two
_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def share_heap() -> None:
    """Let all threads have one heap: of those of their own, little can be given back. Before there are threads."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc
        libc.mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Give back what is free."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


async def keep_small() -> None:
    """Give back what is free, now and then, until cancelled."""
    while True:
        await asyncio.sleep(PAUSE)
        await asyncio.to_thread(give_back)
