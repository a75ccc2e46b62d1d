"""What the data plane's settings demand of one another, and what their errors say and do not say."""

from typing import Any

import pytest

from vpn.domain.address import Endpoint
from vpn.domain.errors import Invalid
from vpn.settings.load import load_settings
from vpn.settings.proxy import InboundSettings, ProxySettings

HOME = {"HOME": "/nowhere"}
FILES = {"certificate": "/c.pem", "key": "/k.pem"}
UPSTREAM = {"address": "192.0.2.1:1080", "user": "me", "password": "topsecret"}


def load(flags: dict[str, Any], **environment: str) -> ProxySettings:
    values = {f"proxy.{key}": value for key, value in flags.items()}
    return load_settings(HOME | environment, flags=values).proxy


def refused(flags: dict[str, Any], **environment: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        load(flags, **environment)
    assert "topsecret" not in str(caught.value) + caught.value.message + caught.value.hint
    return caught.value


def test_lists_of_the_environment_have_commas():
    proxy = load(
        {},
        VPN_PROXY__INBOUNDS__LAN__LISTEN="0.0.0.0:3128",
        VPN_PROXY__INBOUNDS__LAN__OPEN_TO="10.0.0.0/8, fd00::/8",
        VPN_PROXY__INBOUNDS__LAN__TRUSTED_PROXIES="192.0.2.1",
        VPN_PROXY__DNS__SERVERS="192.0.2.53, 192.0.2.54:5353",
        VPN_PROXY__DNS__HOSTS__NAS="192.0.2.9, 2001:db8::9",
        VPN_PROXY__UPSTREAMS__A__ADDRESS="192.0.2.1:1080",
    )
    lan = proxy.inbounds["lan"]
    assert (lan.open_to, lan.trusted_proxies) == (["10.0.0.0/8", "fd00::/8"], ["192.0.2.1"])
    assert proxy.dns.servers == ["192.0.2.53", "192.0.2.54:5353"]
    assert proxy.dns.hosts == {"nas": ["192.0.2.9", "2001:db8::9"]}
    assert proxy.upstreams["a"].address == Endpoint("192.0.2.1", 1080)


def test_tls_may_be_set_for_main_alone():
    assert load({"inbounds.main.tls": FILES}).inbounds["main"].listen is None


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        ({"inbounds.lan.protocol": "socks"}, "inbounds.lan.listen to be set"),
        ({"inbounds.lan.listen": "none"}, "an address and port"),
        ({"inbounds.LAN.listen": "127.0.0.1:1"}, "String should match pattern"),
        ({"inbounds.main.protocol": "vmess"}, "'mixed', 'socks', 'http' or 'shadowsocks'"),
        ({"inbounds.main.open_to": "10.0.0.1/8"}, "the last 24 bits must be zero"),
        ({"inbounds.main.udp_address": "example.com"}, "an IP address as udp_address"),
        ({"inbounds.main.via": "a b"}, "String should match pattern"),
        ({"inbounds.main.anonymous_user": ""}, "String should have at least 1"),
        ({"inbounds.main.keepalive": "-1"}, "greater than or equal to 0"),
        ({"inbounds.main.tls": {"certificate": "/c.pem"}}, "say it as well"),
        ({"inbounds.main.tls": FILES | {"key": ""}}, "a path"),
        ({"inbounds.main.tls": FILES | {"client_certificates": "required"}}, "client_ca as well"),
        (
            {"inbounds.main.tls": FILES | {"certificate_names_user": True}},
            "client_certificates optional or required",
        ),
        ({"dns.servers": "dns.example"}, "the address of a name server"),
        ({"dns.hosts": {"a.test": ["b.test"]}}, "IP addresses in hosts: a.test has 'b.test'"),
        ({"routes": [{"upstreams": {}}]}, "Dictionary should have at least 1 item"),
        ({"routes": [{"upstreams": {"a": -1}}]}, "greater than or equal to 0"),
        ({"routes": [{"upstreams": {"a": 1}}]}, "known upstreams: routes.0 names 'a'"),
        ({"routes": [{"upstreams": {"direct": 1}, "destinations": "a..b"}]}, "write it as example.com"),
        ({"upstreams": {"direct": UPSTREAM}}, "upstreams of other names"),
        ({"upstreams": {"a": UPSTREAM | {"via": "b"}}}, "known upstreams: upstreams.a.via names 'b'"),
        ({"upstreams": {"a": UPSTREAM | {"via": "direct"}}}, "known upstreams: upstreams.a.via names 'direct'"),
        ({"upstreams": {"a": UPSTREAM | {"via": "a"}}}, "chains that end: a via a"),
        (
            {"upstreams": {"a": UPSTREAM | {"via": "b"}, "b": UPSTREAM | {"via": "c"}, "c": UPSTREAM | {"via": "b"}}},
            "chains that end: a via b via c via b",
        ),
    ],
)
def test_what_does_not_fit(flags, hint):
    error = refused(flags)
    assert hint in error.hint


@pytest.mark.parametrize(
    ("upstream", "environment"),
    [
        (UPSTREAM | {"quux": 1}, {}),
        (UPSTREAM | {"pasword": "topsecret"}, {}),
        (UPSTREAM | {"protocol": "socks6"}, {}),
        (UPSTREAM | {"address": 1080}, {}),
        (UPSTREAM | {"address": "me:topsecret@192.0.2.1:1080"}, {}),
        (UPSTREAM | {"user": ["topsecret"]}, {}),
        (UPSTREAM | {"password": ["topsecret"]}, {}),
        (UPSTREAM | {"password": "topsecret" * 30}, {}),
        (UPSTREAM | {"via": "nobody"}, {}),
        ({"password": "topsecret"}, {}),
        ("socks5://me:topsecret@192.0.2.1:1080", {}),
        (UPSTREAM, {"VPN_PROXY__UPSTREAMS__B": "socks5://me:topsecret@192.0.2.1:1080"}),
        (UPSTREAM, {"VPN_PROXY__ROUTES": "x"}),
        (UPSTREAM, {"VPN_PROXY__WORKERS": "x"}),
    ],
)
def test_an_upstreams_password_is_not_in_an_error_about_itself_or_its_neighbours(upstream, environment):
    refused({"upstreams.a": upstream}, **environment)


def test_all_upstreams_in_one_variable_are_not_repeated_either():
    refused({}, VPN_PROXY__UPSTREAMS="socks5://me:topsecret@192.0.2.1:1080")


def test_a_typo_beside_a_password_is_named():
    error = refused({"upstreams": {"a": UPSTREAM | {"adress": "x"}}})
    assert "there is no setting proxy.upstreams.a.adress" in error.message
    assert error.hint == "did you mean proxy.upstreams.a.address?"


@pytest.mark.parametrize(
    "fields",
    [
        {
            "protocol": "http",
            "listen": "[::]:8443",
            "tls": FILES | {"alpn": ["http/1.1"], "client_certificates": "required", "client_ca": "/ca.pem"},
            "open_to": ["10.0.0.0/8", "2001:db8::/32"],
            "trusted_proxies": "192.0.2.1",
            "idle_timeout": 60,
            "keepalive": 0,
            "udp_address": "2001:db8::1",
            "public_host": "vpn.example.org",
            "public_port": 443,
        },
        {"protocol": "shadowsocks", "listen": "127.0.0.1:8388", "method": "aes-128-gcm", "max_connections": 5},
    ],
)
def test_an_inbound_is_the_same_when_it_was_kept_in_the_database(fields):
    settings = InboundSettings.model_validate(fields)
    kept = InboundSettings.model_validate_json(settings.model_dump_json(exclude_unset=True))
    assert (kept, kept.model_fields_set) == (settings, settings.model_fields_set)
