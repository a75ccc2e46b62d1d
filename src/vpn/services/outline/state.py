"""What has to be remembered for Outline: one document, sealed, because a private key and a secret are in it."""

from __future__ import annotations

import asyncio

import msgspec

from vpn.domain.errors import Conflict, Unavailable
from vpn.store.sealed import SecretStore

_OWNER, _KIND = "server", "outline"


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of a user as an access key. A user of whom nothing is has its number as identifier."""

    inbound: str = ""
    """Where the key leads to; empty: where those of users lead to that were not made here."""
    id: str = ""
    """The identifier, where somebody has chosen one."""
    made: bool = False
    """Whether the user was made here. Then the user's note is the key's name."""
    label: str = ""
    """The key's name, if the user was not made here and was given one here."""


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How Outline is served."""

    enabled: bool
    listen: str
    """``HOST:PORT``; the port is a real one."""
    secret: str
    """The path that requests must begin with, without slashes."""
    certificate: str
    private_key: str
    """Both in PEM."""
    server_id: str
    created: int
    """Milliseconds since the epoch."""
    inbound: str
    """Where new keys lead to."""
    home: str
    """Where keys lead to of which nothing else is known."""
    name: str = ""
    metrics_enabled: bool = False
    hostname: str = ""
    """In the links of inbounds that come from the settings, and cannot be changed here."""
    keys: dict[int, KeyRecord] = {}
    """By the numbers of users."""
    retired: tuple[str, ...] = ()
    """Numbers that somebody has chosen as identifier: the users who have them are called otherwise, for ever."""


class StateBook:
    """The document as it is stored, read once. Who changes it holds `order` from reading to `keep`."""

    def __init__(self, secrets: SecretStore) -> None:
        self._secrets = secrets
        self._state: State | None = None
        self._read = False
        self.order = asyncio.Lock()

    async def find(self) -> State | None:
        """What is remembered; None: Outline was never enabled.

        Raises:
            Unavailable: the store cannot be read, or a newer version wrote it.
        """
        if not self._read:
            document = await self._secrets.get(_OWNER, _KIND)
            try:
                self._state = None if document is None else msgspec.json.decode(document, type=State)
            except msgspec.ValidationError as error:
                problem = f"what is stored for Outline cannot be read: {error}"
                raise Unavailable("outline_unreadable", problem, "was it written by a newer version?") from None
            self._read = True
        return self._state

    async def state(self) -> State:
        """What is remembered, while Outline is enabled.

        Raises:
            Conflict: it is not.
        """
        state = await self.find()
        if state is None or not state.enabled:
            raise Conflict("outline_disabled", "the Outline API is not enabled", "enable it: vpn outline enable")
        return state

    async def keep(self, state: State) -> State:
        """Remember this, and return it.

        Raises:
            Unavailable: the store cannot be written; it is as it was.
        """
        await self._secrets.put(_OWNER, _KIND, msgspec.json.encode(state).decode())
        self._state, self._read = state, True
        return state
