"""The users' keys for one method of Shadowsocks, as one worker has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vpn.domain.shadowsocks import Method, user_password
from vpn.domain.user import canonical
from vpn.protocols.shadowsocks_keys import key_name, master_key
from vpn.proxy.control import DISABLED, SnapshotUser
from vpn.proxy.credentials import Credentials


class UserKey:
    """One user's key. It is made of the secret when it is needed first."""

    __slots__ = ("_key", "_method", "secret", "user")

    def __init__(self, method: Method, user: str, secret: str) -> None:
        self._method = method
        self._key = b""
        self.user = user
        self.secret = secret

    @property
    def key(self) -> bytes:
        """The key itself."""
        if not self._key:
            self._key = master_key(self._method, user_password(self._method, self.secret))
        return self._key


class Keyring:
    """The keys of all users who are somebody: the disabled ones are nobody.

    Snapshots come often and change little: keys are kept while their secrets are the same.
    """

    def __init__(self, method: Method, credentials: Credentials) -> None:
        self.method = method
        self._credentials = credentials
        self._seen: Mapping[str, SnapshotUser] | None = None
        self._by_user: dict[str, UserKey] = {}
        self._by_name: dict[bytes, UserKey] = {}
        self._all: list[UserKey] = []

    def all(self) -> Sequence[UserKey]:
        """All of them; another object whenever they are others."""
        self._refresh()
        return self._all

    def of(self, user: str) -> UserKey | None:
        """The key of this user; None: there is none."""
        self._refresh()
        return self._by_user.get(canonical(user))

    def named(self, name: bytes) -> UserKey | None:
        """The key that identity headers call so (SIP023); None: there is none."""
        self._refresh()
        return self._by_name.get(name)

    def _refresh(self) -> None:
        users = self._credentials.users
        if users is self._seen:
            return
        self._seen = users
        before, now, others = self._by_user, {}, False
        for name, user in users.items():
            if not user.shadowsocks or user.blocked == DISABLED:
                continue
            known = before.get(name)
            if known is None or known.secret != user.shadowsocks or known.user != user.name:
                known = UserKey(self.method, user.name, user.shadowsocks)
                others = True
            now[name] = known
        if not others and len(now) == len(before):
            return
        self._by_user = now
        self._all = list(now.values())
        if self.method.identified:
            names = {key: name for name, key in self._by_name.items()}
            self._by_name = {names.get(each) or key_name(each.key): each for each in self._all}
