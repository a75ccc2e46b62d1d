"""What the global options mean: where the API is, and how results are written."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

from vpn.api.client import TIMEOUT, Client, Stream, Transport, Unreachable
from vpn.cli.output import Output
from vpn.domain.errors import Conflict
from vpn.settings import paths

PATIENCE = 30.0  # seconds to wait for a daemon that is starting, or for another command
_NO_DAEMON = (FileNotFoundError, ConnectionRefusedError, NotADirectoryError)


class Context(NamedTuple):
    """The global options of one command."""

    output: Output
    server: str | None
    token: str | None
    data_dir: Path | None
    config: Path | None

    def client(self, *, daemon_only: bool = False, timeout: float = TIMEOUT) -> Client:
        """The API: of the server named, else of the daemon on this machine, else in this process."""
        if self.server:
            from vpn.api.remote import host_of, over_tcp, stream_tcp

            token = self.token or self._token_for(host_of(self.server))
            return Client(over_tcp(self.server, token, timeout), stream_tcp(self.server, token))
        return Client(self._local(daemon_only=daemon_only, timeout=timeout), self._local_stream())

    def find_data_dir(self) -> Path:
        """The data directory, found without building all settings."""
        if self.data_dir is not None:
            return paths.absolute(self.data_dir)
        if os.environ.get("VPN_DATA_DIR"):
            return paths.absolute(os.environ["VPN_DATA_DIR"])
        named = self.config or os.environ.get("VPN_CONFIG")
        config = Path(named) if named else paths.find_config(os.environ)
        if config is not None:
            from vpn.settings.document import read_document

            configured = read_document(config).values.get("data_dir")
            if configured:
                return paths.absolute(str(configured))
        return paths.default_data_dir(os.environ)

    def _local(self, *, daemon_only: bool, timeout: float) -> Transport:
        from vpn.api.local import over_unix

        data_dir = self.find_data_dir()
        unix = over_unix(data_dir / paths.SOCKET, timeout)

        def transport(method: str, target: str, body: bytes) -> tuple[int, bytes]:
            deadline = 0.0
            while True:
                try:
                    return unix(method, target, body)
                except PermissionError:
                    raise _not_yours(data_dir) from None
                except _NO_DAEMON:
                    if daemon_only:
                        raise _no_daemon(data_dir) from None
                try:
                    return self._in_process(method, target, body)
                except Conflict as conflict:
                    # Somebody has the directory: a daemon that will listen in a moment, or another command.
                    deadline = deadline or time.monotonic() + PATIENCE
                    if conflict.code != "already_running" or time.monotonic() > deadline:
                        raise

        return transport

    def _local_stream(self) -> Stream:
        def stream(method: str, target: str) -> tuple[int, Generator[bytes, None, None]]:
            from vpn.api.local import stream_unix

            data_dir = self.find_data_dir()
            try:
                return stream_unix(data_dir / paths.SOCKET)(method, target)
            except PermissionError:
                raise _not_yours(data_dir) from None
            except _NO_DAEMON:
                raise _no_daemon(data_dir) from None

        return stream

    def _in_process(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        from vpn.daemon import call_in_process
        from vpn.settings.load import load_settings

        flags = {} if self.data_dir is None else {"data_dir": str(self.data_dir)}
        settings = load_settings(os.environ, config=self.config, flags=flags)
        return call_in_process(settings, method, target, body)

    def _token_for(self, host: str) -> str:
        """The token of the daemon on this machine, which is nobody else's business."""
        if host in ("localhost", "127.0.0.1", "::1"):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                return (self.find_data_dir() / paths.TOKEN).read_text("ascii").strip()
        hint = "give one in VPN_TOKEN or with --token; the server keeps it in its file api-token"
        raise Unreachable(f"no token for {host}", hint)


def _not_yours(data_dir: Path) -> Unreachable:
    return Unreachable(f"{data_dir} is not yours", "become its owner, e.g. with sudo, or use --server and --token")


def _no_daemon(data_dir: Path) -> Unreachable:
    return Unreachable(f"no daemon is running on {data_dir}", "start it with: vpn serve")
