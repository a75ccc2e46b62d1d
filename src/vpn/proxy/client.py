"""A client's connection as it is counted: by which inbound it came, and whose it is."""

from __future__ import annotations

from vpn.proxy.accounts import Account, source_key
from vpn.proxy.entry import Entry


class Client:
    """It holds a place at its inbound, and one of its user's once that is known. `leave` gives both back.

    Args:
        entry: the inbound; a place has been taken there.
        nobody: the account of a client who has not said who it is.
    """

    __slots__ = ("_source", "account", "address", "entry")

    def __init__(self, entry: Entry, nobody: Account) -> None:
        self.entry = entry
        self.account = nobody
        self.address = b""
        """Where it comes from, in 4 or 16 bytes, once it is somebody."""
        self._source = 0  # none: no place is held in the account

    def become(self, account: Account, host: str, now: float) -> str:
        """Be this user, from this address, from now on; why that cannot be, or nothing."""
        if account.blocked:
            return account.blocked
        if account.used_up:
            return "over_quota"
        if account is self.account and self._source:
            return ""
        source, packed = source_key(host)
        why = account.enter(source, packed, self.entry.inbound.name, now)
        if not why:
            self._give_back()
            self.account = account
            self.address = packed or b""
            self._source = source
        return why

    def move(self, host: str, now: float) -> str:
        """Come from another address from now on; why that cannot be, and then the client is nobody, or nothing."""
        account = self.account
        self._give_back()
        return self.become(account, host, now)

    def forget(self, nobody: Account) -> None:
        """Be nobody again: the user is no more, and somebody else may be counted where he was."""
        self._give_back()
        self.account = nobody

    def unwelcome(self) -> str:
        """Why the user may no longer come this way, by the limits that hold now; empty: that may go on."""
        return self.account.unwelcome(self.address or None, self.entry.inbound.name) if self._source else ""

    def leave(self) -> None:
        """The connection is gone."""
        self._give_back()
        self.entry.give_place()

    def _give_back(self) -> None:
        if self._source:
            self.account.leave(self._source)
            self._source = 0
