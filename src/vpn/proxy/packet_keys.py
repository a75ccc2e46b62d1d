"""The keys of an inbound's users, for datagrams of Shadowsocks."""

from __future__ import annotations

from collections import OrderedDict

from vpn.domain.shadowsocks import Method, user_password
from vpn.domain.user import canonical
from vpn.protocols.shadowsocks_keys import key_name, master_key
from vpn.proxy.control import DISABLED, SnapshotUser
from vpn.proxy.credentials import Credentials

_MOST_SOURCES = 4096  # of which it is remembered who came from there
_MOST_THERE = 4  # users of one of them


class Keyed:
    """A user with the key that opens and seals."""

    __slots__ = ("identity", "key", "name", "secret")

    def __init__(self, method: Method, user: SnapshotUser) -> None:
        self.name = user.name
        self.secret = user.shadowsocks
        self.key = master_key(method, user_password(method, user.shadowsocks))
        self.identity = key_name(self.key) if method.edition == 2022 else b""


class KeyRing:
    """All keys that open something, those used last first; `refresh` when there may be others.

    Users who are disabled have none. Who may not connect for another reason has one, and is told nothing, but is known.
    """

    def __init__(self, method: Method, credentials: Credentials) -> None:
        self._method = method
        self._credentials = credentials
        self._all: OrderedDict[str, Keyed] = OrderedDict()
        self.named: dict[bytes, Keyed] = {}
        """By identity (SIP022)."""
        self._seen: dict[str, OrderedDict[Keyed, None]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Work from the users as they are now."""
        before, found = self._all, OrderedDict[str, Keyed]()
        users = {name: user for name, user in self._credentials.users.items() if _has_key(user)}
        for name in (*(name for name in before if name in users), *(name for name in users if name not in before)):
            old, user = before.get(name), users[name]
            same = old is not None and old.secret == user.shadowsocks and old.name == user.name
            found[name] = old if old is not None and same else Keyed(self._method, user)
        self._all = found
        self.named = {each.identity: each for each in found.values() if each.identity}

    def holds(self, keyed: Keyed) -> bool:
        """Whether this is still the user's key."""
        return self._all.get(canonical(keyed.name)) is keyed

    def all(self) -> list[Keyed]:
        """Those used last first."""
        return list(self._all.values())

    def seen_at(self, host: str) -> list[Keyed]:
        """Those who came from an address lately, the last first."""
        seen = self._seen.get(host)
        return [each for each in reversed(seen) if self.holds(each)] if seen else []

    def note(self, keyed: Keyed, host: str) -> None:
        """A user has come from an address."""
        self._all.move_to_end(canonical(keyed.name), last=False)
        seen = self._seen.pop(host, None) or OrderedDict()
        seen[keyed] = None
        seen.move_to_end(keyed)
        if len(seen) > _MOST_THERE:
            seen.popitem(last=False)
        self._seen[host] = seen
        if len(self._seen) > _MOST_SOURCES:
            del self._seen[next(iter(self._seen))]


def _has_key(user: SnapshotUser) -> bool:
    return bool(user.shadowsocks) and user.blocked != DISABLED
