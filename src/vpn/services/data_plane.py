"""What is served, and serving something else without a restart.

The inbounds and how connections go out come from the settings. Reading the settings again changes what has
changed in them, and nothing else: sessions on inbounds that stay are not touched.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence

import msgspec
import structlog

from vpn.domain.address import Endpoint
from vpn.domain.errors import Unavailable
from vpn.domain.inbound import Inbound
from vpn.proxy.binding import Bound, bind
from vpn.proxy.supervisor import Supervisor
from vpn.proxy.tls import client_context, server_context
from vpn.services.bans import BanService
from vpn.services.policy import PolicyService
from vpn.services.shaping import Shaping
from vpn.services.snapshots import Snapshots
from vpn.settings.bans import ban_rules_of
from vpn.settings.model import Settings
from vpn.settings.plane import egress_of, inbounds_of, setting_of
from vpn.settings.proxy import ProxySettings

# Settings that are in force only after a restart: sections, and fields of `proxy`.
_FIXED_SECTIONS = (
    "data_dir",
    "sessions",
    "statistics",
    "api",
    "database",
    "health",
    "metrics",
    "process",
    "telemetry",
    "otel",
)
_FIXED_FIELDS = ("workers",)


class Reloaded(msgspec.Struct, frozen=True):
    """What reading the settings again changed: names of inbounds, and of settings that wait for a restart."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    restart_needed: list[str]


class Reloads(msgspec.Struct):
    """How reading the settings again went, since the start."""

    succeeded: int = 0
    failed: int = 0
    in_order: bool = True
    """The last time."""


class DataPlane:
    """Serves what the settings say.

    Args:
        settings: those in force.
        snapshots: told how connections go out.
        bans: told by which rules to work.
        shaping: told what all users have together.
        policy: told where the policy is at home.
        reread: reads the settings anew.
    """

    def __init__(
        self,
        settings: Settings,
        snapshots: Snapshots,
        bans: BanService,
        shaping: Shaping,
        policy: PolicyService,
        reread: Callable[[], Settings],
    ) -> None:
        self._settings = settings
        self._snapshots = snapshots
        self._bans = bans
        self._shaping = shaping
        self._policy = policy
        self._reread = reread
        self._supervisor: Supervisor | None = None
        self._order = asyncio.Lock()
        self._observers: list[Callable[[Settings], None]] = []
        self.reloads = Reloads()

    def run(self, supervisor: Supervisor) -> None:
        """This serves, from now on."""
        self._supervisor = supervisor

    def tell(self, observer: Callable[[Settings], None]) -> None:
        """Tell this one the settings whenever others are in force."""
        self._observers.append(observer)

    def inbounds(self) -> Sequence[Inbound]:
        """What is served; without a data plane, what would be."""
        if self._supervisor is None:
            return inbounds_of(self._settings.proxy)
        return [bound.inbound for bound in self._supervisor.bound]

    @property
    def proxy(self) -> ProxySettings:
        """The settings that are in force."""
        return self._settings.proxy

    async def reload(self) -> Reloaded:
        """Read the settings again, and do what they say.

        Raises:
            Invalid: they are wrong; nothing has changed.
            Unavailable: nothing is served, or a port cannot be had; nothing has changed.
        """
        try:
            done = await self._reload()
        except Exception:
            self.reloads.failed += 1
            self.reloads.in_order = False
            raise
        self.reloads.succeeded += 1
        self.reloads.in_order = True
        return done

    @property
    def max_connections(self) -> int:
        """Clients at once, over all inbounds; 0: no limit."""
        return self._settings.proxy.max_connections

    async def _reload(self) -> Reloaded:
        supervisor = self._supervisor
        if supervisor is None:
            raise Unavailable("not_serving", "no daemon is running", "start one with: vpn serve")
        async with self._order:
            settings = await asyncio.to_thread(self._reread)
            proxy = settings.proxy
            check_files(proxy)
            policy = await self._policy.prepare(settings.policy)
            before = {bound.wanted.name: bound.wanted for bound in supervisor.bound}
            after = {inbound.name: inbound for inbound in inbounds_of(proxy)}
            bound = _rebind(supervisor.bound, list(after.values()), self._settings.proxy.workers)
            waiting = _restart_needed(self._settings, settings)
            workers = self._settings.proxy.workers
            self._settings = self._settings.model_copy(
                update={
                    "proxy": proxy.model_copy(update={"workers": workers}),
                    "bans": settings.bans,
                    "shaping": settings.shaping,
                    "policy": settings.policy,
                    "log": settings.log,
                }
            )
            await supervisor.listen(bound, max_connections=proxy.max_connections, drain=proxy.drain_timeout)
            await self._policy.adopt(policy)
            await self._bans.configure(ban_rules_of(settings.bans))
            self._shaping.limit(settings.shaping.down, settings.shaping.up)
            self._snapshots.egress = egress_of(proxy)
            await self._snapshots.publish()
            for observer in self._observers:
                observer(self._settings)
            done = Reloaded(
                added=[name for name in after if name not in before],
                removed=[name for name in before if name not in after],
                changed=[name for name in after if name in before and after[name] != before[name]],
                restart_needed=waiting,
            )
            structlog.get_logger("daemon").info("the settings were reloaded", **msgspec.structs.asdict(done))
            return done


def check_files(proxy: ProxySettings) -> None:
    """See whether the certificates can be used that workers will read.

    Raises:
        Invalid: one cannot.
    """
    for inbound in inbounds_of(proxy):
        if inbound.tls is not None:
            server_context(inbound.tls)
    for upstream in egress_of(proxy).upstreams:
        if upstream.protocol == "https":
            client_context(upstream)


def bind_all(inbounds: Sequence[Inbound], workers: int) -> list[Bound]:
    """The sockets of all inbounds, or of none.

    Raises:
        Unavailable: an address cannot be listened on.
    """
    bound: list[Bound] = []
    for inbound in inbounds:
        try:
            bound.append(bind(inbound, workers))
        except (OSError, UnicodeError) as error:
            for each in bound:
                each.close()
            raise port_trouble(inbound.listen, error, setting_of(inbound.name)) from None
    return bound


def port_trouble(listen: Endpoint, error: OSError | UnicodeError, setting: str) -> Unavailable:
    """An address that cannot be listened on, in words."""
    number = error.errno if isinstance(error, OSError) else None
    ways_out = {
        errno.EADDRINUSE: "stop what uses it, or ",
        errno.EACCES: "start as root with process.user set, which opens low ports and drops the rest, or ",
    }
    variable = f"VPN_{setting.upper().replace('.', '__')}"
    return Unavailable(
        "cannot_listen",
        f"cannot listen on {listen}: {getattr(error, 'strerror', None) or 'not a host name'}",
        f"{ways_out.get(number or 0, '')}set {setting} (or {variable}) to another address",
    )


def _rebind(served: Sequence[Bound], wanted: Sequence[Inbound], workers: int) -> list[Bound]:
    """Sockets for what is wanted: those that are open already where the address is the same, else new ones."""
    kept: dict[str, Bound] = {}
    for inbound in wanted:
        for bound in served:
            same_place = bound.wanted.listen == inbound.listen
            if same_place and (inbound.listen.port or bound.wanted.name == inbound.name):
                kept[inbound.name] = bound
    fresh = iter(bind_all([inbound for inbound in wanted if inbound.name not in kept], workers))
    bounds = []
    for inbound in wanted:
        bound = kept.get(inbound.name) or next(fresh)
        bound.amend(inbound)
        bounds.append(bound)
    return bounds


def _restart_needed(old: Settings, new: Settings) -> list[str]:
    sections = [name for name in _FIXED_SECTIONS if getattr(old, name) != getattr(new, name)]
    fields = [f"proxy.{name}" for name in _FIXED_FIELDS if getattr(old.proxy, name) != getattr(new.proxy, name)]
    return sections + fields
