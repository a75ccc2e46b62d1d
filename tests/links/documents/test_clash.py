import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.support.links import links, texts
from vpn.links.documents import clash
from vpn.links.documents.nodes import Node
from vpn.links.shadowsocks import ShadowsocksLink


def read(text):
    return YAML(typ="safe", pure=True).load(io.StringIO(text))


def written(nodes):
    return {proxy["name"]: proxy for proxy in read(clash.write(list(nodes.values())))["proxies"]}


def test_the_document(nodes):
    document = read(clash.write([nodes["old"], nodes["socks"]]))
    assert document == {
        "mode": "rule",
        "proxies": [
            {
                "name": "old",
                "type": "ss",
                "server": "a.test",
                "port": 8388,
                "cipher": "chacha20-ietf-poly1305",
                "password": "1e3",
                "udp": True,
            },
            {
                "name": "socks",
                "type": "socks5",
                "server": "a.test",
                "port": 1080,
                "username": "me",
                "password": "no",
                "udp": True,
            },
        ],
        "proxy-groups": [{"name": "Proxy", "type": "select", "proxies": ["old", "socks"]}],
        "rules": ["MATCH,Proxy"],
    }


def test_without_any_everything_is_refused(nodes):
    for given_nodes in ([], [nodes["kcptun"]]):
        document = read(clash.write(given_nodes))
        assert document["proxies"] == []
        assert document["proxy-groups"][0]["proxies"] == ["REJECT"]


def test_what_mihomo_cannot_use_is_left_out(nodes):
    assert set(nodes) - set(written(nodes)) == {"kcptun", "vless-extra", "trojan-plain"}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("new", {"cipher": "2022-blake3-aes-128-gcm", "server": "2001:db8::1", "udp": True}),
        ("obfs", {"plugin": "obfs", "plugin-opts": {"mode": "tls", "host": "b.test"}}),
        (
            "v2ray",
            {
                "plugin": "v2ray-plugin",
                "plugin-opts": {"mode": "websocket", "host": "b.test", "path": "/p", "tls": True},
            },
        ),
        ("http", {"type": "http", "username": "me", "password": "~"}),
        ("https", {"type": "http", "tls": True, "password": "0777"}),
        (
            "reality",
            {
                "type": "vless",
                "network": "tcp",
                "tls": True,
                "flow": "xtls-rprx-vision",
                "servername": "a.test",
                "client-fingerprint": "firefox",
                "reality-opts": {"public-key": "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI"},
                "packet-encoding": "xudp",
            },
        ),
        (
            "vless-ws",
            {"network": "ws", "tls": True, "ws-opts": {"path": "/w", "headers": {"Host": "h.test"}}},
        ),
        ("vless-xhttp", {"network": "xhttp", "xhttp-opts": {"path": "/x"}}),
        ("vless-encrypted", {"encryption": "mlkem768x25519plus.native.0rtt.x", "tls": False}),
        ("trojan", {"type": "trojan", "password": "x", "sni": "s.test", "alpn": ["h2", "http/1.1"], "network": "tcp"}),
        ("trojan-grpc", {"network": "grpc", "grpc-opts": {"grpc-service-name": "s"}}),
        ("trojan-ech", {"ech-opts": {"enable": True, "config": "AAT+DQAA"}}),
        ("trojan-ask", {"ech-opts": {"enable": True}}),
        (
            "vmess",
            {
                "alterId": 0,
                "cipher": "auto",
                "tls": False,
                "network": "http",
                "http-opts": {"path": ["/v"], "headers": {"Host": ["h.test"]}},
            },
        ),
        (
            "vmess-up",
            {
                "network": "ws",
                "ws-opts": {"path": "/u", "headers": {"Host": "h.test"}, "v2ray-http-upgrade": True},
            },
        ),
        (
            "wireguard",
            {
                "ip": "10.0.0.2",
                "ipv6": "fd00::2/128",
                "allowed-ips": ["0.0.0.0/0", "::/0"],
                "mtu": 1420,
                "persistent-keepalive": 25,
                "remote-dns-resolve": True,
                "dns": ["10.0.0.1"],
                "udp": True,
            },
        ),
    ],
)
def test_what_a_proxy_says(nodes, name, fields):
    found = written(nodes)[name]
    assert {key: found.get(key) for key in fields} == fields


@settings(max_examples=30)
@given(st.lists(st.builds(Node, texts, links), max_size=3))
def test_whatever_is_written_is_yaml(nodes):
    document = read(clash.write(nodes))
    names = [proxy["name"] for proxy in document["proxies"]]
    assert document["proxy-groups"][0]["proxies"] == (names or ["REJECT"])
    assert len(set(names)) == len(names)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_password_stays_what_it_is(password):
    link = ShadowsocksLink("aes-128-gcm", password, "h", 1)
    assert read(clash.write([Node("n", link)]))["proxies"][0]["password"] == password
