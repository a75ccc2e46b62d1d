import pytest

from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.services.access import links_for, reachable_host


def test_a_mixed_inbound_has_two_links():
    inbounds = [Inbound("main", "mixed", Endpoint("127.0.0.1", 1080))]
    assert links_for(inbounds, "me@home", "p:w") == [
        "socks5h://me%40home:p%3Aw@127.0.0.1:1080",
        "http://me%40home:p%3Aw@127.0.0.1:1080",
    ]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.1", "vpn.example.org"])
def test_an_address_stays(host):
    assert reachable_host(host) == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_become_one(host):
    assert reachable_host(host) != host
