"""The allocator of the daemon's process: what was needed for a moment is given back."""

from __future__ import annotations

import ctypes

_ARENAS = 2
_THRESHOLD = 256 * 1024  # bytes
# mallopt(3): malloc.h of glibc
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def settle() -> None:
    """Keep no memory for later. To be called before the process has threads.

    Left alone, glibc raises its threshold once a large block is freed, and keeps every large block from then on, in an
    arena for each thread. A password is verified in 19 MiB, a batch of sessions is some megabytes: together 40 MB that
    nobody needs.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other libraries give memory back by themselves
        mallopt(_ARENA_MAX, _ARENAS)
        mallopt(_MMAP_THRESHOLD, _THRESHOLD)
        mallopt(_TRIM_THRESHOLD, _THRESHOLD)
