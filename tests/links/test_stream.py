import pytest
from hypothesis import given

from tests.support.links import streams
from vpn.domain.errors import Invalid
from vpn.links.stream import Stream, ech_configs, of_query, to_query

REALITY = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI"


@given(streams())
def test_what_was_written_is_read_again(stream):
    assert of_query(to_query(stream)) == stream


def test_the_keys_are_those_of_the_standard():
    stream = Stream(
        security="reality", sni="a.test", fingerprint="chrome", public_key=REALITY, short_id="ab12", spider_x="/"
    )
    assert to_query(stream) == {
        "security": "reality",
        "type": "tcp",
        "headerType": "none",
        "sni": "a.test",
        "fp": "chrome",
        "pbk": REALITY,
        "sid": "ab12",
        "spx": "/",
    }
    grpc = Stream(network="grpc", security="tls", service_name="s", authority="a", mode="multi", alpn=("h2", "h3"))
    assert to_query(grpc) == {
        "security": "tls",
        "type": "grpc",
        "serviceName": "s",
        "authority": "a",
        "mode": "multi",
        "alpn": "h2,h3",
    }


@pytest.mark.parametrize(
    ("query", "stream"),
    [
        ({}, Stream()),
        ({"type": "raw", "security": "", "headerType": ""}, Stream()),
        ({"type": "splithttp", "path": "/x"}, Stream(network="xhttp", path="/x")),
        ({"type": "tcp", "path": "/", "host": "h", "serviceName": "s", "mode": "gun", "sni": "x", "fp": ""}, Stream()),
        ({"security": "tls", "alpn": "h2, http/1.1,"}, Stream(security="tls", alpn=("h2", "http/1.1"))),
        ({"security": "tls", "insecure": "1"}, Stream(security="tls", insecure=True)),
        ({"security": "tls", "allowInsecure": "0"}, Stream(security="tls")),
    ],
)
def test_what_means_nothing_is_left_out(query, stream):
    assert of_query(query) == stream


@pytest.mark.parametrize(
    ("ech", "configs"),
    [
        ("AAT+DQAA", "AAT+DQAA"),
        ("AAT+DQ==", ""),
        ("AAA=", ""),
        ("x", ""),
        ("", ""),
        ("ä", ""),
        ("a.test+https://1.1.1.1/dns-query", ""),
    ],
)
def test_ech_is_configurations_or_where_to_ask(ech, configs):
    assert ech_configs(Stream(security="tls", ech=ech)) == configs


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"network": "kcp"}, "kcp is no transport; there are: tcp"),
        ({"network": "Top Secret"}, "what it says is no transport"),
        ({"security": "xtls"}, "xtls is no security"),
        ({"header_type": "srtp"}, "srtp is no header type"),
        ({"path": "/"}, "path means nothing for tcp"),
        ({"network": "ws", "service_name": "x"}, "service_name means nothing for ws"),
        ({"sni": "x"}, "sni means nothing for tcp with security none"),
        ({"network": "grpc", "mode": "auto"}, "auto is no mode"),
        ({"network": "xhttp", "extra": "[]"}, "no JSON object"),
        ({"network": "xhttp", "extra": "[" * 8000}, "no JSON object"),
        ({"security": "tls", "alpn": ("a,b",)}, "alpn"),
        ({"security": "tls", "alpn": ("",)}, "alpn"),
        ({"security": "tls", "alpn": ("\ud800",)}, "no Unicode"),
        ({"security": "tls", "sni": "\ud800"}, "sni is no Unicode"),
        ({"security": "reality"}, "pbk"),
        ({"security": "reality", "public_key": "x"}, "pbk"),
        ({"security": "reality", "public_key": REALITY, "short_id": "abc"}, "sid"),
    ],
)
def test_what_is_wrong_is_said(fields, why):
    with pytest.raises(Invalid) as caught:
        Stream(**fields)
    assert caught.value.code == "bad_link"
    assert why in caught.value.message
