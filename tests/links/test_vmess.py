import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.links import vmess_links
from vpn.domain.errors import Invalid
from vpn.links.stream import Stream
from vpn.links.vmess import VmessLink, build, build_url, fits_json, parse

ID = "2cae91b3-f85c-433b-88ee-a002b9ed6d61"


def encoded(**said):
    return "vmess://" + base64.b64encode(json.dumps(said).encode()).decode()


@given(vmess_links)
def test_what_was_built_is_parsed_again(link):
    assert parse(build(link)) == link
    assert parse(build_url(link)) == link


@given(vmess_links)
def test_json_is_written_where_it_can_say_all(link):
    assert ("@" in build(link)) == (not fits_json(link))


def test_how_it_looks():
    stream = Stream(network="ws", security="tls", path="/w", host="h.test", sni="s.test", alpn=("h2", "http/1.1"))
    link = VmessLink(ID, "2001:db8::1", 443, stream, alter_id=4, name="Zürich")
    assert json.loads(base64.b64decode(build(link).removeprefix("vmess://"))) == {
        "v": "2",
        "ps": "Zürich",
        "add": "2001:db8::1",
        "port": "443",
        "id": ID,
        "aid": "4",
        "scy": "auto",
        "net": "ws",
        "type": "none",
        "host": "h.test",
        "path": "/w",
        "tls": "tls",
        "sni": "s.test",
        "alpn": "h2,http/1.1",
        "fp": "",
    }
    assert parse(build(link)) == link
    with pytest.raises(Invalid, match="only its JSON form knows an aid"):
        build_url(link)
    assert build_url(VmessLink(ID, "h", 1)) == (
        f"vmess://{ID}@h:1?encryption=auto&security=none&type=tcp&headerType=none"
    )


def test_numbers_and_brackets_are_read():
    found = parse(encoded(v=2, add="[::1]", port=443, id=ID, aid=0, net="grpc", path="s", type="gun", tls=None))
    assert found == VmessLink(ID, "::1", 443, Stream(network="grpc", service_name="s", mode="gun"))
    assert parse(encoded(add="h", port="1", id=ID, net="grpc", type="none")).stream.mode == ""
    assert parse(encoded(add="h", port="1", id=ID, tls="tls", alpn=["h2"])).stream.alpn == ("h2",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("vmess://!", "neither base64"),
        ("vmess://YQ", "does not hold JSON"),
        ("vmess://" + base64.b64encode(b"[" * 5000).decode(), "does not hold JSON"),
        ("vmess://" + base64.b64encode(b"[]").decode(), "no object"),
        (encoded(add="h", id=ID), "port is missing"),
        (encoded(add="h", id=ID, port="x"), "port is no number"),
        (encoded(add="h", id=ID, port=70000), "port is not from 1"),
        (encoded(id=ID, port=1), "host is missing"),
        (encoded(add="h", port=1, id="x"), "no UUID"),
        (encoded(add="h", port=1, id={}), "neither text nor a number"),
        (encoded(add="h", port=1, id=ID, aid=99999), "aid is not from 0"),
        (encoded(add="h", port=1, id=ID, scy="rc4"), "rc4 is no cipher"),
        (encoded(add="h", port=1, id=ID, net="kcp"), "kcp is no transport"),
        (encoded(add="h", port=1, id=ID, ps="\ud800"), "no Unicode"),
    ],
)
def test_what_is_wrong_is_said(text, why):
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert caught.value.code == "bad_link"
    assert why in caught.value.message


_values = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text()))


_keys = st.sampled_from(["add", "port", "id", "aid", "scy", "net", "type", "host", "path", "tls", "sni", "alpn", "ps"])


@given(st.dictionaries(_keys, _values))
def test_garbage_in_json_gives_invalid_only(said):
    try:
        parse(encoded(**said))
    except Invalid:
        pass
