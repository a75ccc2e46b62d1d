"""Which datagrams have come before, beyond what live sessions know; and the salts of those that go."""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from vpn.protocols.packet_window import Window
from vpn.protocols.shadowsocks_packet import TOLERANCE

_GENERATION = 1 << 16  # salts
_KEEP = 2 * TOLERANCE + 1  # seconds: from one clock that is late to one that is early
_DRAWN = 128  # salts
_MOST_PAST = 1 << 14  # windows
_RANDOM = 12  # bytes of a mark that are random; the others are 0
_BLOCK = 16


class Recent:
    """The salts of the latest datagrams (SIP004): of the last 65,536 all, and of as many before.

    In one process, and without a word in the memory of all workers (vpn.proxy.salts), which thousands of datagrams in a
    second would soon have filled. What begins a session is looked for there, too.
    """

    def __init__(self) -> None:
        self._new: set[int] = set()
        self._old: set[int] = set()

    def fresh(self, salt: bytes) -> bool:
        """Whether this salt has not come of late; it has, then. To be asked about authentic datagrams only."""
        mark = hash(salt)  # 64 bits, keyed anew in each process
        if mark in self._new or mark in self._old:
            return False
        self._new.add(mark)
        if len(self._new) >= _GENERATION:
            self._old, self._new = self._new, set()
        return True


class Marks:
    """What makes salts of ours known as such, to us alone: the first block of each is sealed, and ends in zeros.

    An answer of SIP004 is sealed like a question: played back to us, it would be taken for one.

    Args:
        key: 16 bytes.
    """

    def __init__(self, key: bytes) -> None:
        cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 -- whole blocks, which are never the same
        self._encrypt = cipher.encryptor().update
        self._decrypt = cipher.decryptor().update

    def put(self, salts: bytes, size: int) -> bytes:
        """Salts of this size each, out of random bytes."""
        marked = bytearray(salts)
        for start in range(0, len(marked), size):
            marked[start + _RANDOM : start + _BLOCK] = bytes(_BLOCK - _RANDOM)
        return self._encrypt(bytes(marked))

    def known(self, salt: bytes) -> bool:
        """Whether this is one of ours; of all others one in four thousand million is taken for it."""
        return not any(self._decrypt(salt[:_BLOCK])[_RANDOM:])


class Salts:
    """Random bytes, of which the kernel is asked for many at a time: asking costs more than sealing does.

    Args:
        size: bytes of each salt.
        marks: put on each of them; None: they are as random as they come.
    """

    def __init__(self, size: int, marks: Marks | None = None) -> None:
        self._size = size
        self._marks = marks
        self._drawn = b""
        self._used = 0

    def draw(self) -> bytes:
        """The next one."""
        start = self._used
        self._used = end = start + self._size
        if end > len(self._drawn):
            drawn = os.urandom(_DRAWN * self._size)
            self._drawn = self._marks.put(drawn, self._size) if self._marks is not None else drawn
            start, self._used = 0, self._size
            end = self._size
        return self._drawn[start:end]


class Past:
    """The windows of sessions that have ended, as long as their datagrams could still be taken for new ones."""

    def __init__(self) -> None:
        self._windows: dict[object, tuple[Window, float]] = {}

    def keep(self, mark: object, window: Window, now: float) -> None:
        """A session has ended."""
        windows = self._windows
        while windows:
            oldest = next(iter(windows))
            if windows[oldest][1] > now and len(windows) < _MOST_PAST:
                break
            del windows[oldest]
        windows.pop(mark, None)
        windows[mark] = (window, now + _KEEP)

    def recall(self, mark: object) -> Window:
        """The window of a session that begins, which may be one that goes on."""
        kept = self._windows.get(mark)
        return kept[0] if kept is not None else Window()


class PacketMemory:
    """Which datagrams of a method have come, by whichever inbound: what is played back at another is known, too."""

    def __init__(self) -> None:
        self.recent = Recent()
        self._live: dict[object, Window] = {}
        self._past = Past()

    def window(self, mark: object) -> Window:
        """Which numbers have come of a session (SIP022), which may be new, live elsewhere, or have ended."""
        live = self._live.get(mark)
        return live if live is not None else self._past.recall(mark)

    def keep(self, mark: object, window: Window) -> None:
        """A session begins."""
        self._live[mark] = window

    def end(self, mark: object, window: Window, now: float) -> None:
        """A session has ended."""
        if self._live.get(mark) is window:
            del self._live[mark]
        self._past.keep(mark, window, now)
