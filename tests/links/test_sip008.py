import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.links import shadowsocks_links
from vpn.domain.errors import Invalid
from vpn.links.shadowsocks import ShadowsocksLink
from vpn.links.sip008 import build, parse

LINK = ShadowsocksLink("aes-256-gcm", "x", "::1", 8388, "Zürich", "obfs-local;obfs=http")


@given(st.lists(shadowsocks_links(), max_size=3))
def test_what_was_built_is_parsed_again(links):
    # The document has no place for Outline's flag; an option without a plugin is none.
    known = [
        msgspec.structs.replace(each, outline=False, plugin="" if each.plugin.startswith(";") else each.plugin)
        for each in links
    ]
    known = [msgspec.structs.replace(each, plugin=each.plugin.removesuffix(";")) for each in known]
    assert parse(build(known)) == tuple(known)


def test_how_it_looks():
    document = json.loads(build([LINK], used=5, remaining=7))
    server = document["servers"][0]
    assert len(server.pop("id")) == 36
    assert document == {
        "version": 1,
        "servers": [
            {
                "remarks": "Zürich",
                "server": "::1",
                "server_port": 8388,
                "password": "x",
                "method": "aes-256-gcm",
                "plugin": "obfs-local",
                "plugin_opts": "obfs=http",
            }
        ],
        "bytes_used": 5,
        "bytes_remaining": 7,
    }
    assert "bytes_used" not in build([LINK])
    assert build([]) == build([])


def test_an_id_outlives_the_password():
    def ids(*links):
        return [server["id"] for server in json.loads(build(links))["servers"]]

    changed, other = msgspec.structs.replace(LINK, password="y"), msgspec.structs.replace(LINK, port=1)
    assert ids(LINK) == ids(changed)
    assert len(set(ids(LINK, other))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 5000,
        '{"version": 2, "servers": []}',
        '{"version": 1, "servers": {}}',
        '{"version": 1, "servers": [1]}',
        '{"version": 1, "servers": [{"server": 1}]}',
        '{"version": 1, "servers": [{"server": "h", "method": "aes-128-gcm", "password": "x"}]}',
        '{"version": 1, "servers": [{"server": "h", "method": "aes-128-gcm", "password": "x", "server_port": true}]}',
        '{"version": 1, "servers": [{"server": "h", "method": "rc4-md5", "password": "x", "server_port": 1}]}',
        json.dumps({"version": 1, "servers": [{}] * 1001}),
    ],
)
def test_what_is_none(text):
    with pytest.raises(Invalid):
        parse(text)
