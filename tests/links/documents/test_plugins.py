import pytest

from vpn.links.documents.plugins import Plugin, plugin_of


def test_a_plugin_with_options():
    assert plugin_of("simple-obfs;obfs=http;obfs-host=a=b;;fast") == Plugin(
        "obfs-local", "obfs=http;obfs-host=a=b;;fast", {"obfs": "http", "obfs-host": "a=b", "fast": ""}
    )
    assert plugin_of("v2ray-plugin") == Plugin("v2ray-plugin", "", {})


@pytest.mark.parametrize(
    "text",
    ["", "kcptun;x=y", "obfs-local;obfs=http;x=a\\;b", "obfs-local", "obfs-local;obfs=x", "v2ray-plugin;mode=quic"],
)
def test_what_others_do_not_know(text):
    assert plugin_of(text) is None
