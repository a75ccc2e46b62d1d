import base64

import msgspec
import pytest
from hypothesis import given

from tests.support.links import wireguard_links
from vpn.domain.errors import Invalid
from vpn.links.wireguard import WireGuardLink, build, build_conf, parse, parse_conf

KEY, OTHER = base64.b64encode(b"\xfb" * 32).decode(), base64.b64encode(b"\1" * 32).decode()
LINK = WireGuardLink(
    private_key=KEY,
    addresses=("10.0.0.2/32", "fd00::2/128"),
    public_key=OTHER,
    host="2001:db8::1",
    port=51820,
    preshared_key=OTHER,
    keepalive=25,
    mtu=1420,
    dns=("10.0.0.1",),
    name="my phone",
)
CONF = f"""\
[Interface]
PrivateKey = {KEY}
Address = 10.0.0.2/32, fd00::2/128
DNS = 10.0.0.1
MTU = 1420

[Peer]
PublicKey = {OTHER}
PresharedKey = {OTHER}
AllowedIPs = 0.0.0.0/0, ::/0
PersistentKeepalive = 25
Endpoint = [2001:db8::1]:51820
"""


@given(wireguard_links)
def test_what_was_built_is_parsed_again(link):
    assert parse(build(link)) == link
    assert parse_conf(build_conf(link)) == msgspec.structs.replace(link, name="")


def test_how_it_looks():
    key, other = KEY.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"), OTHER.replace("=", "%3D")
    assert build(LINK) == (
        f"wireguard://{key}@[2001:db8::1]:51820/?publickey={other}&address=10.0.0.2%2F32%2Cfd00%3A%3A2%2F128"
        f"&allowedips=0.0.0.0%2F0%2C%3A%3A%2F0&mtu=1420&keepalive=25&presharedkey={other}&dns=10.0.0.1#my%20phone"
    )
    assert build_conf(LINK) == CONF


def test_a_file_as_people_write_it():
    text = CONF.replace(" = ", "=").replace("[Peer]", "[peer] # the server").replace("DNS", "dns") + "FwMark = 1\n"
    text = text.replace("Address=10.0.0.2/32, fd00::2/128", "Address=10.0.0.2/32\r\naddress=fd00::2/128")
    assert parse_conf(text) == msgspec.structs.replace(LINK, name="")
    off = CONF.replace("PersistentKeepalive = 25", "PersistentKeepalive = off")
    assert parse_conf(off).keepalive == 0


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (KEY, "topsecret", "private key is not base64"),
        (KEY, "dG9wc2VjcmV0", "private key has 9 bytes, not 32"),
        ("Endpoint", "Point", "port is missing"),
        ("10.0.0.2/32", "10.0.0/32", "address is no address"),
        ("10.0.0.2/32", "10.0.0.2/33", "address is no address"),
        ("fd00::2/128", "fe80::1%eth0", "address is no address"),
        ("DNS = 10.0.0.1", "DNS = 10.0.0.1/8", "dns is no address"),
        ("fd00::2/128", "10.0.0.2/24", "an address stands there twice"),
        ("MTU = 1420", "MTU = big", "mtu is no number"),
        ("MTU = 1420", "MTU = 70000", "mtu is not from 0"),
        ("Address", "Adress", "no address"),
        ("[Peer]", "[Pear]", "line 7: there is one [Interface]"),
        ("[Peer]", "[Interface]", "line 7: there is one"),
        ("[Interface]\n", "", "line 1: a line is KEY = VALUE, below"),
        ("MTU = 1420", "MTU", "line 5: a line is KEY = VALUE"),
        ("MTU", "#" + "x" * 9000, "longer than"),
    ],
)
def test_what_is_wrong_is_said(old, new, why):
    with pytest.raises(Invalid) as caught:
        parse_conf(CONF.replace(old, new, 1))
    assert caught.value.code == "bad_link"
    assert why in caught.value.message
    assert KEY not in caught.value.message


@pytest.mark.parametrize("text", ["[Interface]\n", "wireguard://h:1", f"wg://{KEY}@h:1", "ss://x@h:1"])
def test_what_is_none(text):
    with pytest.raises(Invalid):
        (parse_conf if text.startswith("[") else parse)(text)
