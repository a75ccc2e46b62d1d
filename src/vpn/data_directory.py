"""The data directory: database, key file, API token, API socket, and the lock that makes one process their owner."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import time
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket
from types import TracebackType
from typing import IO

from vpn.domain.errors import Conflict, Unavailable
from vpn.settings import paths
from vpn.store.secrets import write_private

SOCKET_BACKLOG = 128
OURS = (paths.LOCK, paths.KEY, paths.DATABASE, paths.TOKEN, paths.SOCKET, paths.METER, paths.JOURNALS, paths.SALTS)
_RETRY = 0.05  # seconds


class DataDirectory:
    """A data directory that is ours while the ``with`` block lasts.

    Entering creates it (0700) where it does not exist, and locks it.

    Args:
        path: where it lies.
        patience: seconds to wait for whoever has it.

    Raises:
        Unavailable: it cannot be made or written, or is open to others and not evidently ours.
        Conflict: another process has it.
    """

    def __init__(self, path: Path, patience: float = 0) -> None:
        self.path = path
        self._patience = patience
        self._lock: IO[str] | None = None

    @property
    def key(self) -> Path:
        """The key file."""
        return self.path / paths.KEY

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / paths.DATABASE

    @property
    def token(self) -> Path:
        """The file with the API token."""
        return self.path / paths.TOKEN

    @property
    def meter(self) -> Path:
        """What users have moved since it was last booked."""
        return self.path / paths.METER

    @property
    def journals(self) -> Path:
        """Where the workers' journals of sessions lie."""
        return self.path / paths.JOURNALS

    @property
    def salts(self) -> Path:
        """The salts that clients of Shadowsocks have used."""
        return self.path / paths.SALTS

    @property
    def api_socket(self) -> Path:
        """The API's Unix socket."""
        return self.path / paths.SOCKET

    def __enter__(self) -> DataDirectory:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_private()
            # Opened for appending: whoever does not get the lock must not wipe out its owner's number.
            self._lock = open(self.path / paths.LOCK, "a+", opener=_private)
        except OSError as error:
            raise self._unusable(error) from None
        deadline = time.monotonic() + self._patience
        while not _try_lock(self._lock):
            if time.monotonic() < deadline:
                time.sleep(_RETRY)
                continue
            self._lock.seek(0)
            owner = self._lock.read().strip()
            self._lock.close()
            raise Conflict(
                "already_running",
                f"another vpn process (number {owner}) is using {self.path}",
                "stop it, or choose another directory with --data-dir",
            )
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def read_token(self) -> str:
        """The API token; it is made if there is none.

        Raises:
            Unavailable: the file cannot be read or written, is open to others, or holds no token.
        """
        try:
            if not self.token.exists():
                write_private(self.token, f"vpn_{secrets.token_urlsafe(32)}\n")
            if self.token.stat().st_mode & 0o077:
                raise Unavailable("token_exposed", f"{self.token} can be read by others", f"chmod 600 {self.token}")
            token = self.token.read_text("ascii", errors="replace").strip()
        except OSError as error:
            raise self._unusable(error) from None
        if len(token) < 16:
            raise Unavailable(
                "token_damaged", f"{self.token} holds no usable token", "remove the file, and a new one is made"
            )
        return token

    def listen(self) -> socket:
        """Listen on the API's Unix socket (0600).

        Raises:
            Unavailable: the path is too long, or not writable.
        """
        sock = socket(AF_UNIX, SOCK_STREAM)
        try:
            self.api_socket.unlink(missing_ok=True)  # of a process that was killed: we have the lock
            sock.bind(str(self.api_socket))
            self.api_socket.chmod(0o600)
            sock.listen(SOCKET_BACKLOG)
        except OSError as error:
            sock.close()
            raise Unavailable(
                "socket_failed",
                f"{self.api_socket}: {error.strerror or error}",
                "choose a shorter path with --data-dir",
            ) from None
        return sock

    def _make_private(self) -> None:
        status = self.path.stat()
        if stat.S_IMODE(status.st_mode) & 0o077 == 0:
            return
        if any(not entry.name.startswith(OURS) for entry in self.path.iterdir()):
            raise Unavailable(
                "data_dir_exposed",
                f"{self.path} is open to others and holds other things",
                "choose a directory of its own with --data-dir",
            )
        self.path.chmod(0o700)

    def _unusable(self, error: OSError) -> Unavailable:
        return Unavailable(
            "data_dir_unusable",
            f"the data directory {self.path} cannot be used: {error.filename}: {error.strerror}",
            "choose another with --data-dir or VPN_DATA_DIR, or mend its permissions",
        )


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
