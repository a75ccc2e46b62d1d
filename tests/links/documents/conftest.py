import base64

import pytest

from vpn.links.documents.nodes import Node
from vpn.links.proxy import ProxyLink
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.links.stream import Stream
from vpn.links.trojan import TrojanLink
from vpn.links.vless import VlessLink
from vpn.links.vmess import VmessLink
from vpn.links.wireguard import WireGuardLink

ID = "2cae91b3-f85c-433b-88ee-a002b9ed6d61"
KEY16, KEY32 = base64.b64encode(b"\1" * 16).decode(), base64.b64encode(b"\2" * 32).decode()
REALITY = Stream(
    security="reality", sni="a.test", fingerprint="firefox", public_key="QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI"
)


@pytest.fixture
def nodes() -> dict[str, Node]:
    """One node of every kind, by name."""
    tls = Stream(security="tls", sni="s.test", alpn=("h2", "http/1.1"))
    links = {
        "old": ShadowsocksLink("chacha20-ietf-poly1305", "1e3", "a.test", 8388),
        "new": ShadowsocksLink("2022-blake3-aes-128-gcm", f"{KEY16}:{KEY16}", "2001:db8::1", 8389),
        "chacha": ShadowsocksLink("2022-blake3-chacha20-poly1305", KEY32, "a.test", 8390),
        "obfs": ShadowsocksLink("aes-128-gcm", "x", "a.test", 1, plugin="obfs-local;obfs=tls;obfs-host=b.test"),
        "v2ray": ShadowsocksLink("aes-128-gcm", "x", "a.test", 1, plugin="v2ray-plugin;tls;host=b.test;path=/p"),
        "kcptun": ShadowsocksLink("aes-128-gcm", "x", "a.test", 1, plugin="kcptun;key=x"),
        "socks": ProxyLink("socks5h", "a.test", 1080, "me", "no"),
        "http": ProxyLink("http", "a.test", 1080, "me", "~"),
        "https": ProxyLink("https", "a.test", 443, "me", "0777"),
        "reality": VlessLink(ID, "a.test", 443, REALITY, "xtls-rprx-vision"),
        "vless-ws": VlessLink(ID, "a.test", 443, Stream(network="ws", security="tls", path="/w", host="h.test")),
        "vless-xhttp": VlessLink(ID, "a.test", 443, Stream(network="xhttp", security="tls", path="/x", mode="auto")),
        "vless-extra": VlessLink(ID, "a.test", 443, Stream(network="xhttp", security="tls", extra="{}")),
        "vless-encrypted": VlessLink(ID, "a.test", 443, encryption="mlkem768x25519plus.native.0rtt.x"),
        "trojan": TrojanLink("x", "a.test", 443, tls),
        "trojan-grpc": TrojanLink("x", "a.test", 443, Stream(network="grpc", security="tls", service_name="s")),
        "trojan-ech": TrojanLink("x", "a.test", 443, Stream(security="tls", ech="AAT+DQAA")),
        "trojan-ask": TrojanLink("x", "a.test", 443, Stream(security="tls", ech="b.test+https://1.1.1.1/dns-query")),
        "trojan-plain": TrojanLink("x", "a.test", 443, Stream()),
        "vmess": VmessLink(ID, "a.test", 80, Stream(header_type="http", path="/v", host="h.test")),
        "vmess-up": VmessLink(ID, "a.test", 80, Stream(network="httpupgrade", path="/u", host="h.test")),
        "wireguard": WireGuardLink(
            private_key=KEY32,
            addresses=("10.0.0.2", "fd00::2/128"),
            public_key=KEY32,
            host="a.test",
            port=51820,
            mtu=1420,
            keepalive=25,
            preshared_key=KEY32,
            dns=("10.0.0.1",),
        ),
    }
    return {name: Node(name, link) for name, link in links.items()}
