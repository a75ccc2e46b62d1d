"""Builds everything from the store up to the API, and wires it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from fastapi import FastAPI

from vpn.api.app import Services, create_app
from vpn.api.events_stream import EventStreams
from vpn.api.outline.app import OutlineServices, create_outline_app
from vpn.data_directory import DataDirectory
from vpn.domain.errors import Unavailable
from vpn.domain.rollups import Kind
from vpn.monitoring.files import monitoring_files
from vpn.observation import Observation
from vpn.proxy.supervisor import Supervisor
from vpn.services.access import AccessService
from vpn.services.bans import BanService
from vpn.services.data_plane import DataPlane
from vpn.services.enforcement import Enforcement
from vpn.services.groups import GroupService
from vpn.services.inbound_register import InboundRegister
from vpn.services.inbounds import InboundService
from vpn.services.ledger import Ledger
from vpn.services.live_sessions import LiveSessions
from vpn.services.metrics.facts import FactFinder
from vpn.services.metrics.loop_lag import LoopLag
from vpn.services.metrics.service import MetricsService, Sources
from vpn.services.metrics.tally import Tally
from vpn.services.monitoring import Monitoring
from vpn.services.outline import metrics as outline_metrics
from vpn.services.outline.keys import KeyService
from vpn.services.outline.ports import KeyPorts
from vpn.services.outline.server import ServerService
from vpn.services.outline.service import OutlineService
from vpn.services.outline.state import StateBook
from vpn.services.policy import PolicyService
from vpn.services.policy_trial import stored_groups
from vpn.services.renewal import Renewal
from vpn.services.roster import RosterService
from vpn.services.session_feed import SessionFeed
from vpn.services.session_history import SessionHistory
from vpn.services.session_log import log_sessions
from vpn.services.session_upkeep import SessionUpkeep
from vpn.services.session_writer import SessionWriter
from vpn.services.shaping import Shaping
from vpn.services.snapshots import Snapshots
from vpn.services.spare_memory import keep_small
from vpn.services.statistics import StatisticsService
from vpn.services.status import StatusService
from vpn.services.subscriptions import Listening, SubscriptionService
from vpn.services.unstored import Unstored
from vpn.services.usage import UsageService
from vpn.services.user_secrets import UserSecrets
from vpn.services.users import UserService
from vpn.settings.bans import ban_rules_of
from vpn.settings.model import Settings
from vpn.settings.plane import egress_of
from vpn.store.bans import BanStore
from vpn.store.database import Database, sqlite_url
from vpn.store.facts import FactStore
from vpn.store.groups import GroupStore
from vpn.store.inbounds import InboundStore
from vpn.store.policies import PolicyStore
from vpn.store.rollups import Rollups
from vpn.store.sealed import SecretStore
from vpn.store.secrets import SecretBox, open_box, read_key
from vpn.store.sessions import SessionStore
from vpn.store.statistics import StatisticsStore
from vpn.store.usage import UsageStore
from vpn.store.users import UserStore

WELCOMED = "welcomed"
"""The fact that somebody has been shown the first user."""


_HEARD = 0.3  # seconds that workers may take to report to somebody who asks for sessions


class House(NamedTuple):
    """The floors from the store up to the API, built."""

    app: FastAPI
    database: Database
    live: LiveSessions
    users: UserService
    access: AccessService
    subscriptions: SubscriptionService
    user_store: UserStore
    facts: FactStore
    snapshots: Snapshots
    ledger: Ledger
    enforcement: Enforcement
    shaping: Shaping
    data_plane: DataPlane
    status: StatusService
    bans: BanService
    policy: PolicyService
    writer: SessionWriter
    feed: SessionFeed
    streams: EventStreams
    monitoring: Monitoring
    metrics: MetricsService
    lag: LoopLag
    upkeep: SessionUpkeep
    statistics: StatisticsService
    outline: OutlineService
    outline_app: Callable[[], FastAPI]
    """Makes it; where it is not served, it is not in memory."""

    def watch(self, supervisor: Supervisor) -> None:
        """These workers serve, from now on."""
        self.data_plane.run(supervisor)
        self.status.watch(supervisor)
        self.monitoring.watch(supervisor)
        self.metrics.watch(supervisor)
        self.writer.hear_first(lambda: supervisor.awake(_HEARD))
        self.shaping.run(supervisor.shaper.follow)
        self.snapshots.publish_to(supervisor.publish)

    def loops(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What goes on while the daemon serves."""
        yield self.enforcement.run(self.snapshots.publish)
        yield self.data_plane.keep_trying()
        yield self.outline.keep_trying()
        yield self.writer.run()
        yield self.upkeep.run()
        yield self.statistics.run()
        yield self.monitoring.run()
        yield self.lag.run()
        yield keep_small()

    async def close(self) -> None:
        """The workers are gone, and so are the loops: book what was counted last, and store the last sessions."""
        await self.ledger.close(self.enforcement.zones())
        await self.writer.close()
        await self.policy.close()
        await self.bans.close()


@asynccontextmanager
async def build(
    settings: Settings, directory: DataDirectory, reread: Callable[[], Settings], observation: Observation
) -> AsyncIterator[House]:
    """Build the floors from the store up.

    Raises:
        DomainError: the data directory or the database cannot be used.
    """
    if directory.key.exists():
        read_key(directory.key)  # a damaged one is found before the database is touched
    database = Database(settings.database.url or sqlite_url(directory.database), slow=settings.database.slow_query)
    try:
        await database.migrate()
        facts = FactStore(database)
        secrets = SecretStore(database, await _open_secrets(directory, facts))
        user_store = UserStore(database)
        group_store = GroupStore(database)
        clock = partial(datetime.now, UTC)
        usage = UsageStore(database)
        shaping = Shaping(settings.shaping.down, settings.shaping.up)
        ledger = Ledger(directory.meter, usage, clock, observation.tracer)
        user_secrets = UserSecrets(secrets)
        enforcement = Enforcement(user_store, group_store, usage, ledger, shaping, clock, user_secrets)
        snapshots = Snapshots(enforcement.arrange, egress_of(settings.proxy))
        users = UserService(user_store, snapshots, clock)
        bans = BanService(BanStore(database), ban_rules_of(settings.bans), clock)
        await bans.load()
        policy = PolicyService(
            PolicyStore(database), settings.policy, stored_groups(user_store), clock, observation.tracer
        )
        register = InboundRegister(InboundStore(database), secrets, clock)
        data_plane = DataPlane(settings, snapshots, bans, shaping, policy, register, reread)
        await data_plane.load()
        user_secrets.needed = lambda: data_plane.speaks_shadowsocks
        inbounds = InboundService(register, data_plane)
        status = StatusService(user_store, inbounds)
        streams = EventStreams()
        sessions = _sessions(settings, directory, database, observation)
        live, writer, feed = sessions.live, sessions.writer, sessions.feed
        monitoring = Monitoring(
            directory.path, live, status, data_plane, partial(facts.get, WELCOMED), (settings.metrics, settings.health)
        )
        tally, lag = _tally(settings, feed), LoopLag()
        finder = FactFinder(database, directory.path, data_plane.inbounds)
        metrics = MetricsService(
            Sources(tally, live, writer, enforcement, bans, data_plane, finder, lag), public=settings.metrics.public
        )
        used = UsageService(user_store, usage, enforcement, snapshots)
        groups = GroupService(group_store, snapshots, clock)
        access = AccessService(data_plane, user_secrets, groups)
        outline = _outline(
            _People(users, user_store, user_secrets, groups),
            inbounds,
            data_plane,
            secrets,
            outline_metrics.Sources(
                user_store,
                usage,
                StatisticsStore(database),
                enforcement.zones,
                live,
                monitoring.history,
                monitoring.rate,
            ),
            clock,
        )
        services = Services(
            users=users,
            groups=groups,
            roster=RosterService(user_store, group_store, snapshots, clock),
            usage=used,
            access=access,
            renewal=Renewal(user_secrets, snapshots),
            subscriptions=SubscriptionService(
                secrets,
                user_store,
                access,
                used,
                data_plane,
                Listening(settings.api.listen, settings.api.tls is not None),
            ),
            status=status,
            data_plane=data_plane,
            inbounds=inbounds,
            outline=outline.service,
            bans=bans,
            policy=policy,
            sessions=sessions.history,
            statistics=sessions.statistics,
            streams=streams,
            log_lines=observation.memory.lines,
            telemetry=observation.memory.events,
            monitoring=monitoring,
            monitoring_files=lambda: monitoring_files(
                settings.api.listen, directory.token, "https" if settings.api.tls else "http"
            ),
            metrics=metrics if settings.metrics.enabled else None,
        )
        monitoring.observe(feed, writer, observation.memory.events.follow)
        app = create_app(services, directory.read_token(), observation.tracer)
        try:
            yield House(
                app=app,
                database=database,
                live=live,
                users=users,
                access=access,
                subscriptions=services.subscriptions,
                user_store=user_store,
                facts=facts,
                snapshots=snapshots,
                ledger=ledger,
                enforcement=enforcement,
                shaping=shaping,
                data_plane=data_plane,
                status=status,
                bans=bans,
                policy=policy,
                writer=writer,
                feed=feed,
                streams=streams,
                monitoring=monitoring,
                metrics=metrics,
                lag=lag,
                statistics=sessions.statistics,
                upkeep=sessions.upkeep,
                outline=outline.service,
                outline_app=outline.make_app,
            )
        finally:
            await finder.close()
    finally:
        await database.close()


def _tally(settings: Settings, feed: SessionFeed) -> Tally:
    """What counts sessions for metrics, where they are wanted."""
    tally = Tally(settings.metrics.users, settings.metrics.destinations, time.monotonic)
    if settings.metrics.enabled or (settings.otel.endpoint and settings.otel.metrics):
        feed.tell(tally.hear)
    return tally


class _Sessions(NamedTuple):
    """What has to do with sessions."""

    live: LiveSessions
    writer: SessionWriter
    feed: SessionFeed
    history: SessionHistory
    upkeep: SessionUpkeep
    statistics: StatisticsService


def _sessions(settings: Settings, directory: DataDirectory, database: Database, observation: Observation) -> _Sessions:
    live = LiveSessions()
    most: dict[Kind, int] = {"user": settings.statistics.users, "destination": settings.statistics.destinations}
    rollups = Rollups(database, most, time.time)
    store = SessionStore(database, rollups.add)
    writer = SessionWriter(directory.journals, store, live, settings.sessions, time.time, observation.tracer)
    unstored = Unstored(live, store, writer.unstored)
    feed = SessionFeed(live, writer if settings.sessions.enabled else None)
    feed.tell(log_sessions)
    return _Sessions(
        live,
        writer,
        feed,
        SessionHistory(store, live, writer, time.time),
        SessionUpkeep(store, settings.sessions, time.time),
        StatisticsService(StatisticsStore(database), rollups, unstored, settings.statistics, time.time),
    )


class _People(NamedTuple):
    """What has to do with users."""

    users: UserService
    store: UserStore
    secrets: UserSecrets
    groups: GroupService


class _Outline(NamedTuple):
    """What has to do with Outline."""

    service: OutlineService
    make_app: Callable[[], FastAPI]


def _outline(
    people: _People,
    inbounds: InboundService,
    data_plane: DataPlane,
    secrets: SecretStore,
    sources: outline_metrics.Sources,
    clock: Callable[[], datetime],
) -> _Outline:
    book = StateBook(secrets)
    ports = KeyPorts(inbounds, lambda: data_plane.server)
    service = OutlineService(book, ports, lambda: data_plane.server, clock)
    keys = KeyService(people.users, people.store, people.groups, people.secrets, book, ports)
    services = OutlineServices(
        keys,
        ServerService(book, ports, people.groups, lambda: data_plane.server),
        outline_metrics.MetricsService(keys, sources, clock),
    )
    return _Outline(service, partial(create_outline_app, services, service.find_secret))


async def _open_secrets(directory: DataDirectory, facts: FactStore) -> SecretBox:
    """Make sure that key and database belong together."""
    try:
        return await open_box(directory.key, facts)
    except OSError as error:
        raise Unavailable(
            "data_dir_unusable", f"{directory.key}: {error.strerror}", "is there space, and may we write there?"
        ) from None
