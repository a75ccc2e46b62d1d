"""The settings themselves. Every field's description is its documentation (docs/configuration.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from vpn.domain.address import Endpoint, parse_endpoint
from vpn.domain.errors import Invalid
from vpn.settings import paths


def _to_endpoint(value: Any) -> Endpoint:
    if isinstance(value, Endpoint):
        return value
    try:
        return parse_endpoint(str(value))
    except Invalid as error:
        raise ValueError(f"an address and port: {error.hint}") from None


def _to_directory(value: Any) -> Any:
    return paths.absolute(value) if isinstance(value, (str, Path)) and str(value) else value


Directory = Annotated[Path, BeforeValidator(_to_directory)]
Listen = Annotated[Endpoint, BeforeValidator(_to_endpoint)]
Seconds = Annotated[float, Field(gt=0, le=86400 * 7, allow_inf_nan=False)]


class Section(BaseModel):
    """A group of settings; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProxySettings(Section):
    """The data plane."""

    listen: Listen = Field(Endpoint("127.0.0.1", 1080), description="Where SOCKS5 and HTTP clients connect.")
    workers: int = Field(1, ge=1, le=64, description="Data-plane processes.")
    private_destinations: Literal["refuse", "allow"] = Field(
        "refuse",
        description="Whether clients may reach loopback, private, link-local and other addresses that are not public.",
    )
    handshake_timeout: Seconds = Field(10, description="Seconds a client has until it has said what it wants.")
    connect_timeout: Seconds = Field(10, description="Seconds a destination has to answer.")
    idle_timeout: Seconds = Field(600, description="Seconds a tunnel may be silent.")
    drain_timeout: float = Field(
        5,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="Seconds that open tunnels have to end when the daemon stops.",
    )


class APISettings(Section):
    """The REST API."""

    listen: Listen = Field(Endpoint("127.0.0.1", 9090), description="Where the API listens, besides its socket.")


class DatabaseSettings(Section):
    """The store."""

    url: str = Field(
        "",
        description="A PostgreSQL URL, postgresql://user:password@host/name; empty: SQLite in the data directory.",
    )


class LogSettings(Section):
    """The log, which goes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    format: Literal["pretty", "json"] = Field("pretty", description="For people, or for programs.")


class Settings(Section):
    """Everything that can be set."""

    data_dir: Directory = Field(description="Where the database, the keys and the API's socket lie.")
    proxy: ProxySettings = ProxySettings()
    api: APISettings = APISettings()
    database: DatabaseSettings = DatabaseSettings()
    log: LogSettings = LogSettings()
