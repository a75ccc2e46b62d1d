"""The settings themselves. Every field's description is its documentation (docs/configuration.md)."""

from __future__ import annotations

from pydantic import Field

from vpn.domain.address import Endpoint
from vpn.settings.bans import BansSettings
from vpn.settings.health import HealthSettings
from vpn.settings.logs import LogSettings
from vpn.settings.metrics import MetricsSettings
from vpn.settings.otel import OtelSettings
from vpn.settings.policy import PolicySettings
from vpn.settings.proxy import ProxySettings
from vpn.settings.server import ServerSettings
from vpn.settings.sessions import SessionSettings
from vpn.settings.shaping import ShapingSettings
from vpn.settings.statistics import StatisticsSettings
from vpn.settings.subscriptions import SubscriptionSettings
from vpn.settings.telemetry import TelemetrySettings
from vpn.settings.values import AbsolutePath, Listen, Section


class APITLSSettings(Section):
    """TLS on the API's port."""

    certificate: AbsolutePath = Field(
        description="PEM file of the certificate and those it was issued with; read again by a reload."
    )
    key: AbsolutePath = Field(description="PEM file of its private key.")


class APISettings(Section):
    """The REST API."""

    listen: Listen = Field(Endpoint("127.0.0.1", 9090), description="Where the API listens, besides its socket.")
    tls: APITLSSettings | None = Field(None, description="TLS there.")


class DatabaseSettings(Section):
    """The store."""

    url: str = Field(
        "",
        description="A PostgreSQL URL, postgresql://user:password@host/name; empty: SQLite in the data directory.",
    )
    slow_query: float = Field(
        0.5, ge=0, le=3600, allow_inf_nan=False, description="Seconds from which on a statement is logged; 0: never."
    )


class ProcessSettings(Section):
    """The daemon as a process."""

    user: str = Field(
        "",
        description="When started as root, the account the daemon goes on as once its ports are open; "
        "empty: stay root, with a warning.",
    )


class Settings(Section):
    """Everything that can be set."""

    data_dir: AbsolutePath = Field(description="Where the database, the keys and the API's socket lie.")
    server: ServerSettings = ServerSettings()
    subscriptions: SubscriptionSettings = SubscriptionSettings()
    proxy: ProxySettings = ProxySettings()
    policy: PolicySettings = PolicySettings()
    bans: BansSettings = BansSettings()
    shaping: ShapingSettings = ShapingSettings()
    sessions: SessionSettings = SessionSettings()
    statistics: StatisticsSettings = StatisticsSettings()
    metrics: MetricsSettings = MetricsSettings()
    health: HealthSettings = HealthSettings()
    api: APISettings = APISettings()
    database: DatabaseSettings = DatabaseSettings()
    process: ProcessSettings = ProcessSettings()
    log: LogSettings = LogSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    otel: OtelSettings = OtelSettings()
