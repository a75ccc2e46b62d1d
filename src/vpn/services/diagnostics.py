"""Trying whether a destination can be reached from here.

What clients may not reach is not tried for anybody: else whoever has the token could look round on this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from vpn.domain.address import Endpoint, pack
from vpn.domain.destination import normal_name
from vpn.domain.errors import Unavailable
from vpn.domain.guard import why_guarded
from vpn.settings.proxy import ProxySettings

MOST_AT_ONCE = 4


class Attempt(NamedTuple):
    """How it went."""

    success: bool
    latency_ms: float | None
    """Until the connection was made, without the search for the address; None: nothing was connected to."""
    message: str
    error: str | None
    """A short stable code."""


class Diagnostics:
    """Makes connections and closes them again.

    Args:
        proxy: tells the settings by which clients are served now.
    """

    def __init__(self, proxy: Callable[[], ProxySettings]) -> None:
        self._proxy = proxy
        self._running = 0
        self._asking = 0

    async def connect(self, address: str, port: int, patience: float) -> Attempt:
        """Try to reach a name or an address within so many seconds.

        Raises:
            Unavailable: there are as many attempts already as there may be.
        """
        if self._running >= MOST_AT_ONCE:
            raise Unavailable("too_many_attempts", f"{MOST_AT_ONCE} attempts are under way", "try again in a moment")
        self._running += 1
        try:
            return await self._try(address.strip(), port, asyncio.get_running_loop().time() + patience)
        finally:
            self._running -= 1

    async def _try(self, address: str, port: int, deadline: float) -> Attempt:
        try:
            async with asyncio.timeout_at(deadline):
                found = await self._resolve(address)
        except TimeoutError:
            return Attempt(False, None, f"{address} was not resolved in time", "timeout")
        except (OSError, UnicodeError) as error:
            return Attempt(False, None, f"{address} cannot be resolved: {_reason(error)}", "dns_failure")
        for each in found:
            if why := self._forbidden(each):
                return Attempt(False, None, f"{address} is no destination that clients may reach", why)
        return await self._reach(found, port, deadline)

    async def _reach(self, addresses: list[str], port: int, deadline: float) -> Attempt:
        """Try one after the other; what is told is how the last one went."""
        last = Attempt(False, None, "there is no address", "dns_failure")
        for address in addresses:
            where = str(Endpoint(address, port))
            began = time.monotonic()
            try:
                async with asyncio.timeout_at(deadline):
                    _, writer = await asyncio.open_connection(address, port)
            except TimeoutError:
                return Attempt(False, _passed(began), f"{where} did not answer in time", "timeout")
            except OSError as error:
                last = Attempt(False, _passed(began), f"{where}: {_reason(error)}", _code(error))
                continue
            passed = _passed(began)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return Attempt(True, passed, f"{where} answers", None)
        return last

    def _forbidden(self, address: str) -> str:
        packed = pack(address)
        assert packed is not None
        return why_guarded(packed, private_allowed=self._proxy().private_destinations == "allow")

    async def _resolve(self, host: str) -> list[str]:
        if pack(host) is not None:
            return [host]
        given = self._proxy().dns.hosts
        for name, addresses in given.items():
            if normal_name(name) == normal_name(host):
                return addresses
        return await self._ask_system(host)

    async def _ask_system(self, host: str) -> list[str]:
        """Ask the system's resolver, in a thread that nobody waits for at the end: it may take its time."""
        if self._asking >= MOST_AT_ONCE:
            raise Unavailable("resolver_stuck", "the system's resolver does not answer", "are its name servers up?")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()
        self._asking += 1

        def settle(found: list[str] | Exception) -> None:
            self._asking -= 1
            if not answer.done():
                if isinstance(found, Exception):
                    answer.set_exception(found)
                else:
                    answer.set_result(found)

        def ask() -> None:
            found: list[str] | Exception
            try:
                rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
                found = list(dict.fromkeys(str(row[4][0]).partition("%")[0] for row in rows))
            except (OSError, UnicodeError) as error:
                found = error
            with contextlib.suppress(RuntimeError):  # the daemon has stopped meanwhile
                loop.call_soon_threadsafe(settle, found)

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        return await answer


def _passed(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 3)


def _reason(error: OSError | UnicodeError) -> str:
    return str(getattr(error, "strerror", None) or "it is no name")


def _code(error: OSError) -> str:
    codes = {111: "connection_refused", 101: "network_unreachable", 113: "host_unreachable", 104: "connection_reset"}
    return codes.get(error.errno or 0, "connection_failed")
