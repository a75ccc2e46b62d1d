"""The chunks that Shadowsocks' streams are cut into (SIP004, SIP022): opened and sealed, without I/O.

    stream      salt, [what SIP022 puts before], chunk, chunk, …
    chunk       length (2 bytes, sealed), payload (sealed)

Each sealing adds a tag of 16 bytes, and counts the nonce up by one. The server's stream of SIP022 begins with a header
(type, time, the client's salt, length), which stands for the first chunk's length. The streams of both directions have
salts, and so keys, of their own.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag

from vpn.domain.shadowsocks import Method
from vpn.protocols.errors import ProtocolError
from vpn.protocols.shadowsocks_keys import AEAD, TAG, sealing, session_key

MOST = {1: 0x3FFF, 2022: 0xFFFF}
"""Bytes that a chunk has at most, by edition."""
SERVER = b"\x01"
"""SIP022's type of a server's header."""
TURN = 64
"""Chunks opened in one go: who makes tiny ones does not hold up the others."""
BUSY = 32 * 1024
"""Bytes: a stream that moves so many at a time keeps its cipher at hand; another one makes it anew when it is needed,
which takes a microsecond, while an idle one would keep 2.5 KB."""
_LENGTH = 2 + TAG
_NONCE = 12


class Opener:
    """Opens the chunks of one stream, in their order.

    Args:
        method: the cipher.
        key: of the stream.
        aead: the two, as they were used already; None: they were not.
        length: of the first chunk's payload, which was told already; -1: it was not.
        count: how many times the cipher was used for this stream.
    """

    __slots__ = ("_aead", "_count", "_key", "_method", "_most", "length")

    def __init__(self, method: Method, key: bytes, aead: AEAD | None = None, length: int = -1, count: int = 0) -> None:
        self._method = method
        self._key = key
        self._aead = aead
        self._most = MOST[method.edition]
        self._count = count
        self.length = self._checked(length) if length >= 0 else -1
        """Of the payload of the chunk that comes next; -1: that is not known yet."""

    def open_into(self, sealed: memoryview, into: memoryview) -> tuple[int, int]:
        """Open the chunks that are whole and fit; returns how much was taken of the one and put into the other.

        It stops after some chunks (`TURN`). If `length` fits into what is left of the one and not of the other, the
        next chunk needs more room.

        Raises:
            ProtocolError: a chunk was changed on its way, or is none.
        """
        taken = put = 0
        end, room, length = len(sealed), len(into), self.length
        if not self.whole(end):
            return 0, 0
        aead = self._aead or sealing(self._method, self._key)
        decrypt, decrypt_into, count = aead.decrypt, aead.decrypt_into, self._count
        try:
            for _ in range(TURN):
                if length < 0:
                    if end - taken < _LENGTH:
                        break
                    told = decrypt(count.to_bytes(_NONCE, "little"), sealed[taken : taken + _LENGTH], None)
                    taken += _LENGTH
                    count += 1
                    length = self._checked(int.from_bytes(told, "big"))
                after = taken + length + TAG
                if after > end or put + length > room:
                    break
                decrypt_into(count.to_bytes(_NONCE, "little"), sealed[taken:after], None, into[put : put + length])
                count += 1
                taken = after
                put += length
                length = -1
        except InvalidTag:
            raise ProtocolError("broken_chunk") from None
        self._count = count
        self.length = length
        self._aead = aead if put >= BUSY else None
        return taken, put

    def open_first(self, sealed: bytes) -> bytes:
        """Open the first chunk, whose length was told already; `sealed` is its payload with the tag behind it.

        Raises:
            ProtocolError: it was changed on its way.
        """
        aead = self._aead or sealing(self._method, self._key)
        try:
            opened = aead.decrypt(self._count.to_bytes(_NONCE, "little"), sealed, None)
        except InvalidTag:
            raise ProtocolError("broken_chunk") from None
        self._count += 1
        self.length = -1
        self._aead = None
        return opened

    def whole(self, sealed: int) -> bool:
        """Whether the next chunk is complete in so many bytes, or at least its length is not read yet though there."""
        return sealed >= (_LENGTH if self.length < 0 else self.length + TAG)

    def _checked(self, length: int) -> int:
        if not 0 < length <= self._most:  # an empty one says nothing, and a stream of them would never end
            raise ProtocolError("broken_chunk")
        return length


class Sealer:
    """Seals one direction of a stream.

    Args:
        method: the cipher.
        key: the user's.
        salt: of this stream, new and random.
        request_salt: of the client's stream, which a server of SIP022 repeats; empty: there is no such header.
    """

    __slots__ = ("_aead", "_count", "_key", "_method", "_most", "_request_salt", "_salt")

    def __init__(self, method: Method, key: bytes, salt: bytes, request_salt: bytes = b"") -> None:
        self._method = method
        self._key = key  # the user's, and then the stream's
        self._salt = salt
        self._request_salt = request_salt if method.edition == 2022 else b""
        self._aead: AEAD | None = None
        self._count = 0
        self._most = MOST[method.edition]

    def room(self, size: int) -> int:
        """Bytes that so many take at most when they are sealed."""
        head = 3 * self._method.key_size + 2 * TAG
        return head + size + (-(-size // self._most) or 1) * (_LENGTH + TAG)

    def seal_into(self, data: memoryview, into: memoryview, now: float) -> int:
        """Seal some bytes, and return how many that makes; before the first comes what the stream begins with.

        Args:
            now: seconds since the epoch.
        """
        at = 0
        start, end = 0, len(data)
        if self._count:
            aead = self._aead or sealing(self._method, self._key)
        else:
            self._key = session_key(self._method, self._key, self._salt)
            aead = sealing(self._method, self._key)
            at, start = self._begin(aead, data, into, now)
        encrypt, encrypt_into, count = aead.encrypt, aead.encrypt_into, self._count
        chunks = -(-(end - start) // self._most)
        size = -(-(end - start) // chunks) if chunks else 0  # alike, rather than a last one of some bytes
        while start < end:
            piece = data[start : start + size]
            length = len(piece)
            into[at : at + _LENGTH] = encrypt(count.to_bytes(_NONCE, "little"), length.to_bytes(2, "big"), None)
            at += _LENGTH
            encrypt_into((count + 1).to_bytes(_NONCE, "little"), piece, None, into[at : at + length + TAG])
            at += length + TAG
            count += 2
            start += length
        self._count = count
        self._aead = aead if end >= BUSY else None
        return at

    def _begin(self, aead: AEAD, data: memoryview, into: memoryview, now: float) -> tuple[int, int]:
        """Write what the stream begins with: how long it is, and how much of the data is in it."""
        salt = self._salt
        at = len(salt)
        into[:at] = salt
        if not self._request_salt:
            return at, 0
        first = data[: self._most]
        length = len(first)
        header = SERVER + int(now).to_bytes(8, "big") + self._request_salt + length.to_bytes(2, "big")
        sealed = aead.encrypt(bytes(_NONCE), header, None)
        into[at : at + len(sealed)] = sealed
        at += len(sealed)
        aead.encrypt_into((1).to_bytes(_NONCE, "little"), first, None, into[at : at + length + TAG])
        self._count = 2
        return at + length + TAG, length
