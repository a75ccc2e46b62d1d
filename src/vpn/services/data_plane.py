"""What is served, and serving something else without a restart.

The inbounds and how connections go out come from the settings. Reading the settings again changes what has
changed in them, and nothing else: sessions on inbounds that stay are not touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from vpn.domain.errors import Invalid, Unavailable
from vpn.domain.inbound import Inbound
from vpn.proxy.binding import Bound
from vpn.proxy.supervisor import Supervisor
from vpn.proxy.tls import client_context, server_context
from vpn.services.bans import BanService
from vpn.services.inbound_register import InboundRegister, Managed
from vpn.services.policy import PolicyService
from vpn.services.shaping import Shaping
from vpn.services.snapshots import Snapshots
from vpn.services.sockets import Plan, amended, close_new, open_sockets
from vpn.settings.bans import ban_rules_of
from vpn.settings.model import Settings
from vpn.settings.plane import egress_of, inbounds_of, with_managed
from vpn.settings.proxy import ProxySettings
from vpn.settings.server import ServerSettings

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
        register: knows the inbounds that are managed by commands.
        reread: reads the settings anew.
    """

    def __init__(
        self,
        settings: Settings,
        snapshots: Snapshots,
        bans: BanService,
        shaping: Shaping,
        policy: PolicyService,
        register: InboundRegister,
        reread: Callable[[], Settings],
    ) -> None:
        self._settings = settings
        self._snapshots = snapshots
        self._bans = bans
        self._shaping = shaping
        self._policy = policy
        self._register = register
        self._reread = reread
        self._supervisor: Supervisor | None = None
        self._wanted: list[Inbound] = []
        self.unserved: dict[str, str] = {}
        """Why managed inbounds are not served, by their names."""
        self._order = asyncio.Lock()
        self._observers: list[Callable[[Settings], None]] = []
        self.reloads = Reloads()

    async def load(self) -> None:
        """Find out which inbounds there are to be.

        Raises:
            Unavailable: the store cannot be read.
        """
        await self._register.load()
        self._wanted = await self._register.wanted(self._settings.proxy)

    def complete(self, bound: list[Bound]) -> list[Bound]:
        """The inbounds of the settings, which are open already, and the managed ones; one that cannot be opened
        waits for the next change or reload."""
        return amended(self._open(bound, self._wanted))

    def run(self, supervisor: Supervisor) -> None:
        """This serves, from now on."""
        self._supervisor = supervisor

    def tell(self, observer: Callable[[Settings], None]) -> None:
        """Tell this one the settings whenever others are in force."""
        self._observers.append(observer)

    def inbounds(self) -> Sequence[Inbound]:
        """What is served; without a data plane, what would be."""
        if self._supervisor is None:
            return self._wanted
        return [bound.inbound for bound in self._supervisor.bound]

    @property
    def wanted(self) -> Sequence[Inbound]:
        """What there is to be; of some it may not be possible (`unserved`)."""
        return self._wanted

    @property
    def speaks_shadowsocks(self) -> bool:
        """Whether there is an inbound whose clients have keys."""
        return any(inbound.protocol == "shadowsocks" for inbound in self._wanted)

    async def manage(self, managed: Managed, store: Callable[[], Awaitable[None]], changed: str) -> None:
        """Let these inbounds be managed by commands, and no others.

        Args:
            store: keeps the change, once it is certain that it can be done.
            changed: the one that is new, or another than before.

        Raises:
            Invalid: a certificate cannot be used; nothing has changed.
            Unavailable: its port cannot be had, or the store cannot be written; nothing has changed.
        """
        async with self._order:
            check_files(self._settings.proxy, managed)
            wanted = await self._register.wanted(self._settings.proxy, managed)
            if self._supervisor is None:
                await store()
                self._wanted = wanted
                return
            served = self._supervisor.bound
            plan = self._open(served, wanted, required=changed)
            try:
                await store()
            except BaseException:
                close_new(plan, served)
                raise
            await self._serve(self._supervisor, wanted, plan)
            await self._snapshots.publish()

    def _open(self, served: Sequence[Bound], wanted: Sequence[Inbound], required: str | None = None) -> Plan:
        plan, self.unserved = open_sockets(served, wanted, self._settings.proxy.workers, required)
        for name, problem in self.unserved.items():
            structlog.get_logger("daemon").error("an inbound is not served", inbound=name, reason=problem)
        return plan

    async def _serve(self, supervisor: Supervisor, wanted: list[Inbound], plan: Plan) -> None:
        """Serve what is wanted."""
        keys_are_news = not self.speaks_shadowsocks
        self._wanted = wanted
        if keys_are_news and self.speaks_shadowsocks:
            await self._snapshots.publish()  # before the first client comes
        proxy = self._settings.proxy
        await supervisor.listen(amended(plan), max_connections=proxy.max_connections, drain=proxy.drain_timeout)

    @property
    def server(self) -> ServerSettings:
        """How clients reach us."""
        return self._settings.server

    def _check_names(self, proxy: ProxySettings) -> None:
        names = {inbound.name for inbound in inbounds_of(proxy)}
        for name in self._register.managed:
            if name in names:
                raise Invalid(
                    "inbound_exists",
                    f"the settings have an inbound {name}, and there is a managed one of that name",
                    f"give it another name in the settings, or remove the other: vpn inbounds remove {name}",
                )

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
            self._check_names(proxy)
            check_files(proxy, self._register.managed)
            policy = await self._policy.prepare(settings.policy)
            before = {bound.wanted.name: bound.wanted for bound in supervisor.bound}
            wanted = await self._register.wanted(proxy)
            after = {inbound.name: inbound for inbound in wanted}
            plan = self._open(supervisor.bound, wanted)
            waiting = _restart_needed(self._settings, settings)
            workers = self._settings.proxy.workers
            self._settings = self._settings.model_copy(
                update={
                    "server": settings.server,
                    "proxy": proxy.model_copy(update={"workers": workers}),
                    "bans": settings.bans,
                    "shaping": settings.shaping,
                    "policy": settings.policy,
                    "log": settings.log,
                }
            )
            await self._serve(supervisor, wanted, plan)
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


def check_files(proxy: ProxySettings, managed: Managed | None = None) -> None:
    """See whether the certificates can be used that workers will read.

    Raises:
        Invalid: one cannot.
    """
    for inbound in with_managed(proxy, managed or {}):
        if inbound.tls is not None:
            server_context(inbound.tls)
    for upstream in egress_of(proxy).upstreams:
        if upstream.protocol == "https":
            client_context(upstream)


def _restart_needed(old: Settings, new: Settings) -> list[str]:
    sections = [name for name in _FIXED_SECTIONS if getattr(old, name) != getattr(new, name)]
    fields = [f"proxy.{name}" for name in _FIXED_FIELDS if getattr(old.proxy, name) != getattr(new.proxy, name)]
    return sections + fields
