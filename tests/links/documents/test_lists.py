import base64
import json

import msgspec
import pytest

from vpn.domain.errors import NotFound
from vpn.links import schemes, wireguard
from vpn.links.documents import lists
from vpn.links.documents.nodes import Node
from vpn.links.documents.profile import Usage
from vpn.links.proxy import ProxyLink


def test_a_plain_list_holds_everything(nodes):
    lines = lists.write_plain(list(nodes.values())).splitlines()
    assert [schemes.parse(line) for line in lines] == [
        msgspec.structs.replace(node.link, name=name) for name, node in nodes.items()
    ]
    assert lists.write_plain([]) == ""


def test_a_list_in_base64_holds_what_phones_read(nodes):
    lines = base64.b64decode(lists.write_base64(list(nodes.values()))).decode().split("\n")
    names = [schemes.parse(line).name for line in lines]
    assert names == [name for name in nodes if not name.startswith("http")]
    assert next(line for line in lines if line.endswith("#socks")).startswith("socks://")
    colon = Node("n", ProxyLink("socks5", "h", 1, "a:b", "c"))
    assert lists.write_base64([colon]) == ""


def test_sip008_says_what_was_used(nodes):
    every = list(nodes.values())
    document = json.loads(lists.write_sip008(every, Usage(upload=3, download=4, total=10)))
    assert [server["remarks"] for server in document["servers"]] == ["old", "new", "chacha", "obfs", "v2ray", "kcptun"]
    assert (document["bytes_used"], document["bytes_remaining"]) == (7, 3)
    assert json.loads(lists.write_sip008(every, Usage(upload=30, total=10)))["bytes_remaining"] == 0
    assert "bytes_remaining" not in lists.write_sip008(every, Usage(upload=30))
    assert "bytes_used" not in lists.write_sip008(every)


def test_wireguard_is_the_first_one(nodes):
    assert lists.write_wireguard([nodes["old"], nodes["wireguard"]]) == wireguard.build_conf(nodes["wireguard"].link)
    with pytest.raises(NotFound):
        lists.write_wireguard([nodes["old"]])
