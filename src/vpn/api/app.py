"""The application: routes, errors, authentication."""

from __future__ import annotations

from typing import NamedTuple

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.requests import Request
from starlette.responses import RedirectResponse

from vpn import __version__
from vpn.api import errors
from vpn.api.auth import Guard, documented
from vpn.api.bounded_body import BoundedBody
from vpn.api.events_stream import EventStreams
from vpn.api.routes import acl as acl_routes
from vpn.api.routes import bans as ban_routes
from vpn.api.routes import events as event_routes
from vpn.api.routes import groups as group_routes
from vpn.api.routes import inbounds as inbound_routes
from vpn.api.routes import links as link_routes
from vpn.api.routes import live_sessions as live_session_routes
from vpn.api.routes import logs as log_routes
from vpn.api.routes import metrics as metrics_routes
from vpn.api.routes import monitoring as monitoring_routes
from vpn.api.routes import outline as outline_routes
from vpn.api.routes import policy as policy_routes
from vpn.api.routes import reload as reload_routes
from vpn.api.routes import roster as roster_routes
from vpn.api.routes import sessions as session_routes
from vpn.api.routes import statistics as statistics_routes
from vpn.api.routes import status as status_routes
from vpn.api.routes import subscriptions as subscription_routes
from vpn.api.routes import system as system_routes
from vpn.api.routes import usage as usage_routes
from vpn.api.routes import user_links as user_link_routes
from vpn.api.routes import users as user_routes
from vpn.api.subscription_gate import SubscriptionGate
from vpn.api.tracing import Traced
from vpn.services.access import AccessService
from vpn.services.bans import BanService
from vpn.services.data_plane import DataPlane
from vpn.services.groups import GroupService
from vpn.services.inbounds import InboundService
from vpn.services.log_lines import RecentLines
from vpn.services.metrics.service import MetricsService
from vpn.services.monitoring import Monitoring
from vpn.services.outline.service import OutlineService
from vpn.services.policy import PolicyService
from vpn.services.policy_source import LARGEST as LARGEST_POLICY
from vpn.services.renewal import Renewal
from vpn.services.roster import RosterService
from vpn.services.session_history import SessionHistory
from vpn.services.statistics import StatisticsService
from vpn.services.status import StatusService
from vpn.services.subscriptions import SubscriptionService
from vpn.services.telemetry import Telemetry
from vpn.services.tracing import Tracer
from vpn.services.usage import UsageService
from vpn.services.users import UserService

LARGEST_BODY = 1024 * 1024  # bytes
LARGER_BODIES = {roster_routes.PATH: 16 * 1024 * 1024, policy_routes.PREFIX: LARGEST_POLICY}

_DESCRIPTION = """\
Everything that the command line, the dashboard and bots do goes through here.

Over TCP, send `Authorization: Bearer TOKEN`; the token lies in the file `api-token` of the data directory.
Over the Unix socket `api.sock` beside it, none is needed. Every error has the one shape `Error`.

Users' clients fetch their links from `/sub/TOKEN`, which needs no other token and leads to nothing else.
"""


class Services(NamedTuple):
    """What the application offers."""

    users: UserService
    groups: GroupService
    roster: RosterService
    usage: UsageService
    access: AccessService
    renewal: Renewal
    subscriptions: SubscriptionService
    status: StatusService
    data_plane: DataPlane
    inbounds: InboundService
    outline: OutlineService
    bans: BanService
    policy: PolicyService
    sessions: SessionHistory
    streams: EventStreams
    log_lines: RecentLines
    telemetry: Telemetry
    monitoring: Monitoring
    monitoring_files: monitoring_routes.MonitoringFiles
    metrics: MetricsService | None
    """None: nobody is told."""
    statistics: StatisticsService


def create_app(services: Services, token: str, tracer: Tracer | None = None) -> FastAPI:
    """Put the application together; a tracer records what is asked."""
    app = FastAPIOffline(
        redoc_url=None,
        title="vpn-manager",
        version=__version__,
        description=_DESCRIPTION,
        responses=errors.responses(401, 422),
        redirect_slashes=False,
    )
    errors.install(app)
    app.add_middleware(BoundedBody, largest=LARGEST_BODY, larger=LARGER_BODIES)
    if tracer is not None:
        app.add_middleware(Traced, tracer=tracer)
    metrics = services.metrics
    also_open = frozenset({metrics_routes.PATH} if metrics is not None and metrics.public else ())
    app.add_middleware(Guard, token=token, also_open=also_open)
    app.add_middleware(SubscriptionGate, subscriptions=services.subscriptions)  # the one added last is asked first
    guarded = [Depends(documented())]
    for path in ("/swagger-ui", "/swagger-ui/"):  # where the documentation was in the product before
        app.add_route(path, _show_docs, include_in_schema=False)
    app.include_router(status_routes.health_router(services.status, services.monitoring.health))
    for router in (
        status_routes.router(services.status),
        reload_routes.router(services.data_plane),
        user_routes.router(services.users, services.groups, services.access),
        user_link_routes.router(services.users, services.access, services.renewal),
        subscription_routes.router(services.users, services.subscriptions),
        group_routes.router(services.groups),
        inbound_routes.router(services.inbounds),
        roster_routes.router(services.roster),
        usage_routes.router(services.usage),
        live_session_routes.router(services.monitoring.sessions),
        system_routes.router(services.monitoring, services.status),
        event_routes.router(services.monitoring.events, services.streams),
        outline_routes.router(services.outline),
        ban_routes.router(services.bans),
        link_routes.router(),
        policy_routes.router(services.policy),
        statistics_routes.session_router(services.statistics),
        session_routes.router(services.sessions),
        session_routes.user_router(services.sessions),
        acl_routes.router(services.policy),
        acl_routes.admin_router(services.policy),
        log_routes.router(services.log_lines, services.telemetry, services.streams),
        monitoring_routes.router(services.monitoring_files),
        *((metrics_routes.router(metrics),) if metrics is not None else ()),
        statistics_routes.router(services.statistics),
        session_routes.one_router(services.sessions),
    ):
        app.include_router(router, dependencies=guarded)
    return app


async def _show_docs(_request: Request) -> RedirectResponse:
    return RedirectResponse("/docs")
