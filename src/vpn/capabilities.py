"""Linux capabilities of this process (capabilities(7)), and the switches of prctl(2) that nothing turns back.

The kernel keeps all of it for each thread: call these while there is one thread only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from enum import IntEnum
from pathlib import Path

_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_VERSION_3 = 0x20080522  # of capset's structures: two words of 32 bits for each set


class Capability(IntEnum):
    """The capabilities that matter here, with the kernel's numbers."""

    NET_BIND_SERVICE = 10
    SYS_RESOURCE = 24


def held() -> frozenset[int]:
    """The numbers of the effective capabilities."""
    status = Path("/proc/self/status").read_text("ascii", errors="replace")
    mask = int(status.partition("CapEff:")[2].split()[0], 16)
    return frozenset(number for number in range(64) if mask >> number & 1)


def hold_only(capabilities: frozenset[Capability]) -> None:
    """Give up all but these: effective and permitted here, and not passed on to any program that is started.

    Raises:
        OSError: one of them was not held before.
    """
    mask = sum(1 << capability for capability in capabilities)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _VERSION_3, 0)
    _check(_libc().capset(header, struct.pack("=6I", low, low, 0, high, high, 0)))


def survive_setuid(keep: bool) -> None:
    """Whether a change of the user id from root to another leaves the permitted capabilities as they are."""
    _prctl(_PR_SET_KEEPCAPS, int(keep))


def empty_bounding_set() -> None:
    """Let no program that is started from here have capabilities, whatever its file grants.

    Without CAP_SETPCAP, in some containers, the set stays as it is; `no_new_privileges` holds there too.
    """
    for number in range(64):
        try:
            if not _prctl(_PR_CAPBSET_READ, number):
                continue
            _prctl(_PR_CAPBSET_DROP, number)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EPERM):  # beyond the last one; not allowed
                return
            raise


def no_new_privileges() -> None:
    """No program that is started from here gains anything by set-user-id bits or file capabilities."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def hide_memory() -> None:
    """No core dump, and no tracing by other processes of the same account. /proc/self is root's from here on."""
    _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> int:
    zero = ctypes.c_ulong(0)
    return _check(_libc().prctl(option, ctypes.c_ulong(value), zero, zero, zero))


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
