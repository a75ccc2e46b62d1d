"""The settings of the data plane."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from vpn.domain.address import Endpoint, pack
from vpn.domain.egress import DIRECT
from vpn.domain.errors import Invalid
from vpn.domain.shadowsocks import DEFAULT_METHOD, METHODS, method_of
from vpn.settings.server import PublicHost
from vpn.settings.values import (
    AbsolutePath,
    Destinations,
    Listed,
    Listen,
    ListenOrNot,
    Name,
    NameServers,
    Networks,
    Seconds,
    Section,
    Texts,
)

MAIN = "main"
MOST_INBOUNDS = 100
"""Of the settings, and of those that are managed by commands, each."""
MOST_CONNECTIONS = 1_000_000_000
"""That may be said; what workers are told has to fit in 64 bits."""


def _check_method(value: str) -> str:
    try:
        return method_of(value).name if value else value
    except Invalid as error:
        raise ValueError(f"a method of Shadowsocks: {error.hint}") from None


def _check_address(value: str) -> str:
    if value and pack(value) is None:
        raise ValueError("an IP address as udp_address")
    return value


class TLSSettings(Section):
    """TLS on an inbound."""

    certificate: AbsolutePath = Field(description="PEM file of the certificate and those it was issued with.")
    key: AbsolutePath = Field(description="PEM file of its private key.")
    minimum_version: Literal["1.2", "1.3"] = Field("1.2", description="The oldest version that is spoken.")
    alpn: Texts = Field([], description="Application protocols that are offered, e.g. http/1.1.")
    client_certificates: Literal["none", "optional", "required"] = Field(
        "none", description="Whether clients are asked for certificates."
    )
    client_ca: AbsolutePath | None = Field(None, description="PEM file of who issues the clients' certificates.")
    certificate_names_user: bool = Field(
        False, description="Whether the common name of a client's certificate is its user, who needs no password then."
    )

    @model_validator(mode="after")
    def _who_issues(self) -> TLSSettings:
        if self.client_certificates != "none" and self.client_ca is None:
            raise ValueError("client_ca as well, where client_certificates are asked for")
        if self.certificate_names_user and self.client_certificates == "none":
            raise ValueError("client_certificates optional or required, where certificate_names_user is set")
        return self


class InboundSettings(Section):
    """A listening endpoint; what is left out is as in the section `proxy`."""

    protocol: Literal["mixed", "socks", "http", "shadowsocks"] = Field("mixed", description="What is spoken.")
    method: Annotated[str, AfterValidator(_check_method)] = Field(
        "", description=f"Shadowsocks' cipher: {', '.join(METHODS)}; empty, where that is spoken: {DEFAULT_METHOD}."
    )
    listen: Listen | None = Field(None, description="Where; only the inbound `main` may leave it out.")
    tls: TLSSettings | None = Field(None, description="TLS around it.")
    open_to: Networks = Field([], description="Networks whose clients need no credentials.")
    anonymous_user: str = Field("anonymous", min_length=1, max_length=64, description="Who such clients are.")
    trusted_proxies: Networks = Field(
        [], description="Networks of load balancers, which begin with a PROXY protocol header."
    )
    handshake_timeout: Seconds | None = Field(None, description="As proxy.handshake_timeout.")
    connect_timeout: Seconds | None = Field(None, description="As proxy.connect_timeout.")
    idle_timeout: Seconds | None = Field(None, description="As proxy.idle_timeout.")
    half_closed_timeout: Seconds | None = Field(None, description="As proxy.half_closed_timeout.")
    request_timeout: Seconds | None = Field(None, description="As proxy.request_timeout.")
    bind_timeout: Seconds | None = Field(None, description="As proxy.bind_timeout.")
    udp_timeout: Seconds | None = Field(None, description="As proxy.udp_timeout.")
    keepalive: int | None = Field(None, ge=0, le=86400, description="As proxy.keepalive.")
    max_connections: int = Field(
        0, ge=0, le=MOST_CONNECTIONS, description="Clients at once, over all workers; 0: no limit."
    )
    via: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]*$", description="The name that HTTP's Via header tells of us; empty: no header."
    )
    udp_address: Annotated[str, AfterValidator(_check_address)] = Field(
        "", description="The address that UDP clients are told, where it is not the local one."
    )
    public_host: PublicHost = Field("", description="The address or name in links; empty: as server.public_host.")
    public_port: int = Field(0, ge=0, le=65535, description="The port in links; 0: the one of `listen`.")

    @model_validator(mode="after")
    def _shadowsocks(self) -> InboundSettings:
        if self.protocol != "shadowsocks":
            if self.method:
                raise ValueError("protocol shadowsocks, where there is a method")
            return self
        if self.tls is not None or self.open_to:
            raise ValueError("neither tls nor open_to, where Shadowsocks is spoken: its clients have keys")
        return self


class DNSSettings(Section):
    """How names become addresses."""

    servers: NameServers = Field([], description="Name servers; empty: the system's.")
    prefer: Literal["auto", "v4", "v6"] = Field("auto", description="The family that is tried first.")
    hosts: dict[str, Annotated[list[str], Listed]] = Field(
        {}, description="Names whose addresses are given here, whatever DNS says."
    )

    @model_validator(mode="after")
    def _addresses(self) -> DNSSettings:
        for name, addresses in self.hosts.items():
            for address in addresses:
                if pack(address) is None:
                    raise ValueError(f"IP addresses in hosts: {name} has {address!r}")
        return self


class UpstreamSettings(Section):
    """A parent proxy."""

    protocol: Literal["socks5", "http", "https"] = Field("socks5", description="What it speaks; https: HTTP in TLS.")
    address: Listen = Field(description="Where it listens.")
    user: str = Field("", max_length=255, description="Who we are there.")
    password: str = Field("", max_length=255, description="And our password.")
    via: str = Field("", description="The upstream that this one is reached through: a chain.")
    ca: AbsolutePath | None = Field(
        None, description="PEM file of who may have issued its certificate; empty: the system's."
    )
    resolve: Literal["there", "here"] = Field(
        "there", description="Who resolves names: the upstream, or we, so that the rules see their addresses."
    )


class RouteSettings(Section):
    """Which connections go through which upstreams."""

    destinations: Destinations = Field([], description="Which destinations; empty: all.")
    users: Texts = Field([], description="Whose; without users and groups: everybody's.")
    groups: Texts = Field([], description="And whose: the members of these groups.")
    upstreams: dict[str, Annotated[int, Field(ge=0, le=1000)]] = Field(
        min_length=1, description="Upstreams and their weights, `direct` among them; those of weight 0 stand by."
    )


class PoolSettings(Section):
    """Connections to upstreams that are made before they are needed."""

    max_idle_per_upstream: int = Field(0, ge=0, le=1000, description="Kept ready for each upstream, in each worker.")
    max_idle: int = Field(64, ge=0, le=10_000, description="Kept ready in all, in each worker.")
    idle_timeout: Seconds = Field(90, description="Seconds one is kept.")


class ProxySettings(Section):
    """The data plane."""

    listen: ListenOrNot = Field(
        Endpoint("127.0.0.1", 1080),
        description="Where SOCKS and HTTP clients connect: the inbound `main`; none: there is no such inbound.",
    )
    inbounds: dict[Name, InboundSettings] = Field(
        {}, max_length=MOST_INBOUNDS, description="Further inbounds, by name; or more about `main`."
    )
    workers: int = Field(
        default_factory=lambda: min(64, len(os.sched_getaffinity(0))),
        ge=1,
        le=64,
        description="Data-plane processes; one per core if left out.",
    )
    private_destinations: Literal["refuse", "allow"] = Field(
        "refuse",
        description="Whether clients may reach loopback, private, link-local and other addresses that are not public.",
    )
    max_connections: int = Field(
        0, ge=0, le=MOST_CONNECTIONS, description="Clients at once, over all inbounds and workers; 0: no limit."
    )
    handshake_timeout: Seconds = Field(10, description="Seconds a client has until it has said what it wants.")
    connect_timeout: Seconds = Field(10, description="Seconds a destination has to answer.")
    idle_timeout: Seconds = Field(600, description="Seconds a tunnel may be silent.")
    half_closed_timeout: Seconds = Field(120, description="The same, once one side has said that it is done.")
    request_timeout: Seconds = Field(60, description="Seconds a kept HTTP connection may wait for its next request.")
    bind_timeout: Seconds = Field(120, description="Seconds that BIND waits for its peer.")
    udp_timeout: Seconds = Field(120, description="Seconds a UDP association may be silent.")
    keepalive: int = Field(
        60, ge=0, le=86400, description="Seconds of silence until TCP asks whether the other side is there; 0: never."
    )
    drain_timeout: float = Field(
        5,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="Seconds that open tunnels have to end when the daemon stops, or their inbound is removed.",
    )
    dns: DNSSettings = DNSSettings()
    upstreams: dict[Name, UpstreamSettings] = Field({}, description="Parent proxies, by name.")
    routes: list[RouteSettings] = Field(
        [], description="Which connections go through which upstreams: the first that matches, else direct."
    )
    pool: PoolSettings = PoolSettings()
    upstream_probe_interval: Seconds = Field(
        30, description="Seconds between two looks whether an upstream that failed is back."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> ProxySettings:
        for name, inbound in self.inbounds.items():
            if inbound.listen is None and name != MAIN:
                raise ValueError(f"inbounds.{name}.listen to be set")
        known = {DIRECT, *self.upstreams}
        for index, route in enumerate(self.routes):
            for name in route.upstreams:
                if name not in known:
                    raise ValueError(f"known upstreams: routes.{index} names {name!r}")
        for name in self.upstreams:
            self._check_chain(name)
        return self

    def _check_chain(self, name: str) -> None:
        if name == DIRECT:
            raise ValueError("upstreams of other names: `direct` is the way without one")
        seen = [name]
        while via := self.upstreams[seen[-1]].via:
            if via not in self.upstreams:
                raise ValueError(f"known upstreams: upstreams.{seen[-1]}.via names {via!r}")
            if via in seen:
                raise ValueError(f"chains that end: {' via '.join([*seen, via])}")
            seen.append(via)
