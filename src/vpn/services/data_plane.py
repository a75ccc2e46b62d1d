"""What is served, and serving something else without a restart.

The inbounds and how connections go out come from the settings. Reading the settings again changes what has
changed in them, and nothing else: sessions on inbounds that stay are not touched.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec
import structlog

from vpn.domain.errors import Invalid, Unavailable
from vpn.domain.inbound import Inbound
from vpn.proxy.binding import Bound
from vpn.proxy.supervisor import Supervisor
from vpn.proxy.tls import client_context, server_context
from vpn.services.bans import BanService
from vpn.services.inbound_register import NO_KEYS, InboundRegister, Managed
from vpn.services.policy import PolicyService
from vpn.services.shaping import Shaping
from vpn.services.snapshots import Snapshots
from vpn.services.sockets import OpenedSockets, amended, close_new, open_sockets
from vpn.settings.bans import ban_rules_of
from vpn.settings.model import Settings
from vpn.settings.plane import egress_of, inbounds_of
from vpn.settings.proxy import ProxySettings
from vpn.settings.server import ServerSettings
from vpn.settings.subscriptions import SubscriptionSettings

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
RETRY = 2.0  # seconds until an inbound that could not be opened is tried again


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
        """Why managed inbounds are not served that are to be, by their names."""
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
        is tried again (`keep_trying`).

        Raises:
            Invalid: a managed one has the name of one of the settings.
        """
        self._check_names(self._settings.proxy)
        return self._take(open_sockets(bound, self._wanted, self._settings.proxy.workers))

    def run(self, supervisor: Supervisor) -> None:
        """This serves, from now on."""
        self._supervisor = supervisor

    async def rest(self) -> None:
        """Nothing is served from now on: the workers are about to end. What is changed is for the next start."""
        async with self._order:
            self._supervisor = None

    def tell(self, observer: Callable[[Settings], None]) -> None:
        """Tell this one the settings whenever others are in force."""
        self._observers.append(observer)

    def inbounds(self) -> Sequence[Inbound]:
        """What is served, in the order that there is also after the next start; without a data plane, what would be."""
        if self._supervisor is None:
            return self._wanted
        places = {inbound.name: place for place, inbound in enumerate(self._wanted)}
        served = [bound.inbound for bound in self._supervisor.bound]
        return sorted(served, key=lambda inbound: places.get(inbound.name, len(places)))

    def as_served(self) -> Sequence[Inbound]:
        """All that there are to be, also those that cannot be opened now; one that is open has its real port."""
        served = {inbound.name: inbound for inbound in self.inbounds()}
        return [served.get(wanted.name, wanted) for wanted in self._wanted]

    def connections(self) -> dict[str, int]:
        """Clients of each inbound that is served, by its name."""
        supervisor = self._supervisor
        return (
            {} if supervisor is None else {each.wanted.name: supervisor.connections(each) for each in supervisor.bound}
        )

    @property
    def wanted(self) -> Sequence[Inbound]:
        """What there is to be; of some it may not be possible (`unserved`)."""
        return self._wanted

    @property
    def speaks_shadowsocks(self) -> bool:
        """Whether there is an inbound whose clients have keys."""
        return _speak_shadowsocks(self._wanted)

    async def manage(
        self, managed: Managed, store: Callable[[], Awaitable[None]], changed: str, keys: Mapping[str, str] = NO_KEYS
    ) -> None:
        """Let these inbounds be managed by commands, and no others.

        Args:
            store: keeps the change, once it is certain that it can be done.
            changed: the one that is new, or another than before.
            keys: by name of the inbound, those that are to be others.

        Raises:
            Invalid: a certificate cannot be used; nothing has changed.
            Unavailable: its port cannot be had, or the store cannot be written; nothing has changed.
        """
        async with self._order:
            wanted = await self._register.wanted(self._settings.proxy, managed, keys)
            check_certificates(inbound for inbound in wanted if inbound.name == changed)
            supervisor = self._supervisor
            if supervisor is None:
                await store()
                self._wanted = wanted
                return
            before, served = self._wanted, supervisor.bound
            opened = await self._open(served, wanted, required=changed)
            try:
                await self._want(wanted)
                await store()
            except BaseException:
                self._wanted = before
                close_new(opened.plan, served)
                raise
            await self._serve(supervisor, opened)
            if _speak_shadowsocks(before) and not self.speaks_shadowsocks:
                with contextlib.suppress(Unavailable):  # it is tried again, and nobody waits for it
                    await self._snapshots.publish()
            inbound = next((each for each in self.inbounds() if each.name == changed), None)
            said = {"listen": str(inbound.listen), "protocol": inbound.protocol} if inbound is not None else {}
            event = "an inbound is removed" if inbound is None else "an inbound is changed"
            structlog.get_logger("daemon").info(event, inbound=changed, **said)

    async def keep_trying(self) -> None:
        """Open the inbounds that could not be, as soon as they can; goes on until cancelled."""
        while True:
            await asyncio.sleep(RETRY)
            if not self.unserved:
                continue
            async with self._order:
                supervisor = self._supervisor
                if supervisor is None:
                    continue
                opened = await self._open(supervisor.bound, self._wanted)
                if len(opened.plan) > len(supervisor.bound):
                    await self._serve(supervisor, opened)
                else:
                    self._note(opened.problems)

    async def _open(
        self, served: Sequence[Bound], wanted: Sequence[Inbound], required: str | None = None
    ) -> OpenedSockets:
        """In a thread: where an inbound listens may be a name, which is looked up."""
        return await asyncio.to_thread(open_sockets, served, wanted, self._settings.proxy.workers, required)

    def _take(self, opened: OpenedSockets) -> list[Bound]:
        """These are open from now on."""
        bound = amended(opened.plan)
        for each in bound:
            if each.wanted.name in self.unserved:
                listen = str(each.inbound.listen)
                structlog.get_logger("daemon").info("an inbound is served now", inbound=each.wanted.name, listen=listen)
        self._note(opened.problems)
        return bound

    def _note(self, problems: dict[str, str]) -> None:
        """Say what is new about those that cannot be opened."""
        for name, problem in problems.items():
            if self.unserved.get(name) != problem:
                structlog.get_logger("daemon").error("an inbound is not served", inbound=name, reason=problem)
        self.unserved = problems

    async def _want(self, wanted: list[Inbound]) -> None:
        """This is what there is to be: workers know users' keys before the first client comes.

        Raises:
            Unavailable: the store cannot be read.
        """
        keys_are_known = self.speaks_shadowsocks
        self._wanted = wanted
        if self.speaks_shadowsocks and not keys_are_known:
            await self._snapshots.publish()

    async def _serve(self, supervisor: Supervisor, opened: OpenedSockets) -> None:
        """Serve what is wanted."""
        proxy = self._settings.proxy
        await supervisor.listen(self._take(opened), max_connections=proxy.max_connections, drain=proxy.drain_timeout)

    @property
    def server(self) -> ServerSettings:
        """How clients reach us."""
        return self._settings.server

    @property
    def subscriptions(self) -> SubscriptionSettings:
        """The settings of subscriptions that are in force."""
        return self._settings.subscriptions

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
        async with self._order:
            supervisor = self._supervisor
            if supervisor is None:
                raise Unavailable("not_serving", "no daemon is running", "start one with: vpn serve")
            settings = await asyncio.to_thread(self._reread)
            proxy = settings.proxy
            self._check_names(proxy)
            check_files(proxy)
            policy = await self._policy.prepare(settings.policy)
            before = {bound.wanted.name: bound.wanted for bound in supervisor.bound}
            wanted = await self._register.wanted(proxy)
            opened = await self._open(supervisor.bound, wanted)
            wanted_before = self._wanted
            try:
                await self._want(wanted)
            except BaseException:
                self._wanted = wanted_before
                close_new(opened.plan, supervisor.bound)
                raise
            after = {inbound.name: inbound for _, inbound in opened.plan}
            waiting = _restart_needed(self._settings, settings)
            workers = self._settings.proxy.workers
            self._settings = self._settings.model_copy(
                update={
                    "server": settings.server,
                    "subscriptions": settings.subscriptions,
                    "proxy": proxy.model_copy(update={"workers": workers}),
                    "bans": settings.bans,
                    "shaping": settings.shaping,
                    "policy": settings.policy,
                    "log": settings.log,
                }
            )
            await self._serve(supervisor, opened)
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


def _speak_shadowsocks(inbounds: Iterable[Inbound]) -> bool:
    return any(inbound.protocol == "shadowsocks" for inbound in inbounds)


def check_files(proxy: ProxySettings) -> None:
    """See whether the certificates of the settings can be used that workers will read.

    Those of managed inbounds were looked at when they were added: what has become of one since is no reason not to
    serve the others.

    Raises:
        Invalid: one cannot.
    """
    check_certificates(inbounds_of(proxy))
    for upstream in egress_of(proxy).upstreams:
        if upstream.protocol == "https":
            client_context(upstream)


def check_certificates(inbounds: Iterable[Inbound]) -> None:
    """See whether the certificates of these inbounds can be used.

    Raises:
        Invalid: one cannot.
    """
    for inbound in inbounds:
        if inbound.tls is not None:
            server_context(inbound.tls)


def _restart_needed(old: Settings, new: Settings) -> list[str]:
    sections = [name for name in _FIXED_SECTIONS if getattr(old, name) != getattr(new, name)]
    fields = [f"proxy.{name}" for name in _FIXED_FIELDS if getattr(old.proxy, name) != getattr(new.proxy, name)]
    return sections + fields
