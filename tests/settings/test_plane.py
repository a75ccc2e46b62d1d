from typing import Any

from vpn.domain.address import Endpoint
from vpn.domain.egress import Choice, Egress, Pool, Resolving, Route, Upstream
from vpn.domain.inbound import TLS, Inbound, Timeouts
from vpn.settings.plane import egress_of, inbounds_of, setting_of
from vpn.settings.proxy import ProxySettings

MAIN = Inbound("main", "mixed", Endpoint("127.0.0.1", 1080))


def proxy(**values: Any) -> ProxySettings:
    return ProxySettings.model_validate(values)


def test_by_default_there_is_main_and_the_domains_defaults_hold():
    assert inbounds_of(proxy()) == [MAIN]
    assert egress_of(proxy()) == Egress()


def test_main_may_be_left_out():
    assert inbounds_of(proxy(listen="none")) == []
    assert inbounds_of(proxy(listen="none", inbounds={"main": {"protocol": "socks"}})) == []
    (lan,) = inbounds_of(proxy(listen="none", inbounds={"lan": {"listen": "127.0.0.1:1"}}))
    assert lan.name == "lan"


def test_more_can_be_said_about_main_and_it_comes_first():
    inbounds = inbounds_of(
        proxy(inbounds={"a": {"listen": "127.0.0.1:1"}, "main": {"protocol": "socks", "max_connections": 5}})
    )
    assert [(each.name, each.protocol, each.listen.port) for each in inbounds] == [
        ("main", "socks", 1080),
        ("a", "mixed", 1),
    ]
    (main,) = inbounds_of(proxy(listen="none", inbounds={"main": {"listen": "[::1]:2"}}))
    assert main.listen == Endpoint("::1", 2)


def test_an_inbound_has_its_own_values_and_those_of_all():
    shared = {f"{name}_timeout": 10 + index for index, name in enumerate(Timeouts.__struct_fields__)}
    own = {f"{name}_timeout": 100 + index for index, name in enumerate(Timeouts.__struct_fields__)}
    inherits, differs = inbounds_of(
        proxy(
            **shared,
            keepalive=7,
            inbounds={"b": {"listen": "127.0.0.1:1", "keepalive": 0, **own}},
        )
    )
    fields = Timeouts.__struct_fields__
    assert [getattr(inherits.timeouts, name) for name in fields] == [10 + index for index in range(len(fields))]
    assert [getattr(differs.timeouts, name) for name in fields] == [100 + index for index in range(len(fields))]
    assert (inherits.keepalive, differs.keepalive) == (7, 0)


def test_everything_about_an_inbound_arrives():
    (main,) = inbounds_of(
        proxy(
            inbounds={
                "main": {
                    "protocol": "http",
                    "open_to": "10.0.0.0/8",
                    "anonymous_user": "guest",
                    "trusted_proxies": ["192.0.2.1"],
                    "via": "gate",
                    "udp_address": "192.0.2.9",
                    "tls": {
                        "certificate": "/c.pem",
                        "key": "/k.pem",
                        "minimum_version": "1.3",
                        "alpn": "h2, http/1.1",
                        "client_ca": "/ca.pem",
                        "client_certificates": "required",
                        "certificate_names_user": "true",
                    },
                }
            }
        )
    )
    assert main == Inbound(
        "main",
        "http",
        Endpoint("127.0.0.1", 1080),
        open_to=("10.0.0.0/8",),
        anonymous_user="guest",
        trusted_proxies=("192.0.2.1",),
        via="gate",
        udp_address="192.0.2.9",
        tls=TLS(
            certificate="/c.pem",
            key="/k.pem",
            minimum_version="1.3",
            alpn=("h2", "http/1.1"),
            client_ca="/ca.pem",
            client_certificates="required",
            certificate_names_user=True,
        ),
    )


def test_how_connections_go_out():
    egress = egress_of(
        proxy(
            private_destinations="allow",
            dns={"servers": ["192.0.2.53"], "prefer": "v4", "hosts": {"NAS.Home.": "192.0.2.9"}},
            upstreams={
                "a": {"protocol": "https", "address": "a.test:443", "user": "u", "password": "p", "ca": "/ca.pem"},
                "b": {"address": "[::1]:1080", "via": "a", "resolve": "here"},
            },
            routes=[
                {
                    "destinations": ".x.test, 10.0.0.0/8",
                    "users": "alice",
                    "groups": "staff",
                    "upstreams": {"b": 3, "direct": 0},
                }
            ],
            pool={"max_idle_per_upstream": 2, "max_idle": 3, "idle_timeout": 4},
            upstream_probe_interval=5,
        )
    )
    assert egress == Egress(
        private_destinations=True,
        resolving=Resolving(servers=("192.0.2.53",), prefer="v4", hosts={"nas.home": ("192.0.2.9",)}),
        upstreams=(
            Upstream(name="a", protocol="https", address=Endpoint("a.test", 443), user="u", password="p", ca="/ca.pem"),
            Upstream(name="b", protocol="socks5", address=Endpoint("::1", 1080), via="a", resolve="here"),
        ),
        routes=(
            Route(
                upstreams=(Choice("b", 3), Choice("direct", 0)),
                destinations=(".x.test", "10.0.0.0/8"),
                users=("alice",),
                groups=("staff",),
            ),
        ),
        pool=Pool(max_idle_per_upstream=2, max_idle=3, idle_timeout=4),
        probe_interval=5,
    )


def test_the_setting_that_says_where_an_inbound_listens():
    assert setting_of("main") == "proxy.listen"
    assert setting_of("lan") == "proxy.inbounds.lan.listen"
