"""From the settings to what the data plane works from."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from vpn.domain.egress import Choice, Egress, Pool, Resolving, Route, Upstream
from vpn.domain.inbound import TLS, Inbound, Timeouts
from vpn.domain.shadowsocks import DEFAULT_METHOD, method_of
from vpn.settings.proxy import MAIN, InboundSettings, ProxySettings, TLSSettings

_TIMEOUTS = Timeouts.__struct_fields__


def with_managed(proxy: ProxySettings, managed: Mapping[str, InboundSettings]) -> list[Inbound]:
    """The inbounds of the settings, `main` first, and then those that were added by commands."""
    added = [msgspec.structs.replace(_inbound(name, each, proxy), managed=True) for name, each in managed.items()]
    return inbounds_of(proxy) + added


def inbounds_of(proxy: ProxySettings) -> list[Inbound]:
    """The inbounds of the settings, `main` first."""
    named = dict(proxy.inbounds)
    main = named.pop(MAIN, InboundSettings())
    listening = [] if proxy.listen is None and main.listen is None else [(MAIN, main)]
    return [_inbound(name, settings, proxy) for name, settings in [*listening, *named.items()]]


def egress_of(proxy: ProxySettings) -> Egress:
    """How connections go out."""
    return Egress(
        private_destinations=proxy.private_destinations == "allow",
        resolving=Resolving(
            servers=tuple(proxy.dns.servers),
            prefer=proxy.dns.prefer,
            hosts={name.lower().removesuffix("."): tuple(given) for name, given in proxy.dns.hosts.items()},
        ),
        upstreams=tuple(
            Upstream(
                name=name,
                protocol=each.protocol,
                address=each.address,
                user=each.user,
                password=each.password,
                via=each.via,
                ca=str(each.ca or ""),
                resolve=each.resolve,
            )
            for name, each in proxy.upstreams.items()
        ),
        routes=tuple(
            Route(
                upstreams=tuple(Choice(name, weight) for name, weight in each.upstreams.items()),
                destinations=tuple(each.destinations),
                users=tuple(each.users),
                groups=tuple(each.groups),
            )
            for each in proxy.routes
        ),
        pool=Pool(
            max_idle_per_upstream=proxy.pool.max_idle_per_upstream,
            max_idle=proxy.pool.max_idle,
            idle_timeout=proxy.pool.idle_timeout,
        ),
        probe_interval=proxy.upstream_probe_interval,
    )


def setting_of(name: str) -> str:
    """The setting that says where an inbound listens."""
    return "proxy.listen" if name == MAIN else f"proxy.inbounds.{name}.listen"


def _inbound(name: str, settings: InboundSettings, proxy: ProxySettings) -> Inbound:
    listen = settings.listen or proxy.listen
    assert listen is not None
    chosen = {key: getattr(settings, f"{key}_timeout") for key in _TIMEOUTS}
    timeouts = {key: getattr(proxy, f"{key}_timeout") if value is None else value for key, value in chosen.items()}
    return Inbound(
        name=name,
        protocol=settings.protocol,
        listen=listen,
        tls=_tls(settings.tls) if settings.tls is not None else None,
        open_to=tuple(settings.open_to),
        anonymous_user=settings.anonymous_user,
        trusted_proxies=tuple(settings.trusted_proxies),
        timeouts=Timeouts(**timeouts),
        keepalive=proxy.keepalive if settings.keepalive is None else settings.keepalive,
        max_connections=settings.max_connections,
        via=settings.via,
        udp_address=settings.udp_address,
        method=method_of(settings.method or DEFAULT_METHOD).name if settings.protocol == "shadowsocks" else "",
        public_host=settings.public_host,
        public_port=settings.public_port,
    )


def _tls(settings: TLSSettings) -> TLS:
    return TLS(
        certificate=str(settings.certificate),
        key=str(settings.key),
        minimum_version=settings.minimum_version,
        alpn=tuple(settings.alpn),
        client_ca=str(settings.client_ca or ""),
        client_certificates=settings.client_certificates,
        certificate_names_user=settings.certificate_names_user,
    )
