"""Links of every kind, made by hypothesis: whatever can be written."""

from __future__ import annotations

import base64
import json
from ipaddress import ip_interface

from hypothesis import strategies as st

from vpn.domain.shadowsocks import METHODS
from vpn.links.dynamic_key import DynamicKey
from vpn.links.proxy import SCHEMES, ProxyLink
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.links.stream import Stream
from vpn.links.trojan import TrojanLink
from vpn.links.vless import FLOWS, VlessLink
from vpn.links.vmess import CIPHERS, VmessLink
from vpn.links.wireguard import WireGuardLink

hosts = st.one_of(
    st.ip_addresses().map(str),
    st.from_regex(r"[a-zA-Z0-9]([a-z0-9-]{0,10}\.)?[a-zA-Z0-9]{1,10}", fullmatch=True),
)
ports = st.integers(1, 65535)
characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters)
some_text = st.text(characters, min_size=1)
ids = st.uuids().map(str)


def _key(size: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=size, max_size=size).map(lambda raw: base64.b64encode(raw).decode())


@st.composite
def shadowsocks_links(draw: st.DrawFn) -> ShadowsocksLink:
    method = METHODS[draw(st.sampled_from(sorted(METHODS)))]
    if method.edition == 1:
        password = draw(some_text)
    else:
        keys = draw(st.lists(_key(method.key_size), min_size=1, max_size=3 if method.identified else 1))
        password = ":".join(keys)
    return ShadowsocksLink(
        method.name, password, draw(hosts), draw(ports), draw(texts), draw(texts), outline=draw(st.booleans())
    )


_NETWORKS = {
    "tcp": st.one_of(
        st.just({}), st.fixed_dictionaries({"header_type": st.just("http")}, optional={"path": texts, "host": texts})
    ),
    "ws": st.fixed_dictionaries({}, optional={"path": texts, "host": texts}),
    "httpupgrade": st.fixed_dictionaries({}, optional={"path": texts, "host": texts}),
    "grpc": st.fixed_dictionaries(
        {}, optional={"service_name": texts, "authority": texts, "mode": st.sampled_from(["", "gun", "multi"])}
    ),
    "xhttp": st.fixed_dictionaries(
        {},
        optional={
            "path": texts,
            "host": texts,
            "mode": st.sampled_from(["", "auto", "packet-up", "stream-up", "stream-one"]),
            "extra": st.dictionaries(texts, texts, max_size=2).map(json.dumps),
        },
    ),
}
_ALPN = st.lists(st.sampled_from(["h2", "h3", "http/1.1", "x&y=z"]), max_size=3).map(tuple)
_REALITY_KEYS = st.binary(min_size=32, max_size=32).map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="))
_SECURITIES = {
    "none": st.just({}),
    "tls": st.fixed_dictionaries(
        {}, optional={"sni": texts, "alpn": _ALPN, "fingerprint": texts, "ech": texts, "insecure": st.booleans()}
    ),
    "reality": st.fixed_dictionaries(
        {"public_key": _REALITY_KEYS},
        optional={
            "sni": texts,
            "fingerprint": texts,
            "short_id": st.binary(max_size=8).map(bytes.hex),
            "spider_x": texts,
            "verify_key": texts,
        },
    ),
}


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    network, security = draw(st.sampled_from(sorted(_NETWORKS))), draw(st.sampled_from(sorted(_SECURITIES)))
    said = draw(_NETWORKS[network]) | draw(_SECURITIES[security])
    return Stream(network=network, security=security, **said)


proxy_links = st.builds(ProxyLink, st.sampled_from(SCHEMES), hosts, ports, texts, texts, texts)
vless_links = st.builds(
    VlessLink, ids, hosts, ports, streams(), flow=st.sampled_from(FLOWS), encryption=some_text, name=texts
)
trojan_links = st.builds(TrojanLink, some_text, hosts, ports, streams(), texts)
vmess_links = st.builds(
    VmessLink, ids, hosts, ports, streams(), cipher=st.sampled_from(CIPHERS), alter_id=st.just(0), name=texts
)
_INTERFACES = st.ip_addresses().flatmap(
    lambda address: st.sampled_from(["", "/0", "/24", "/32"]).map(lambda length: f"{address}{length}")
)
_OWN = st.lists(
    st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="fd00::/8")).map(str),
    min_size=1,
    max_size=3,
    unique=True,
).map(tuple)
_SOME = st.lists(_INTERFACES, min_size=1, max_size=3, unique_by=lambda each: ip_interface(each).ip).map(tuple)
wireguard_links = st.builds(
    WireGuardLink,
    private_key=_key(32),
    addresses=_OWN,
    public_key=_key(32),
    host=hosts,
    port=ports,
    preshared_key=st.one_of(st.just(""), _key(32)),
    allowed_ips=_SOME,
    keepalive=st.integers(0, 65535),
    mtu=st.integers(0, 65535),
    dns=st.lists(st.ip_addresses().map(str), max_size=2).map(tuple),
    name=texts,
)
dynamic_keys = st.builds(
    DynamicKey,
    hosts,
    st.from_regex(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,20}(\?[A-Za-z0-9?&=@/]{1,9})?", fullmatch=True),
    ports,
    texts,
)
links = st.one_of(shadowsocks_links(), proxy_links, vless_links, trojan_links, vmess_links, wireguard_links)
