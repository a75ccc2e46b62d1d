import msgspec
import pytest

from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.services.access import Reach, links_for, reach, reachable_host
from vpn.settings.server import ServerSettings


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


def test_where_clients_reach_an_inbound():
    inbound = Inbound("main", "mixed", Endpoint("192.0.2.1", 1080))
    assert reach(inbound, ServerSettings()) == Reach("192.0.2.1", 1080, guessed=True)
    server = ServerSettings(public_host="vpn.example.org")
    assert reach(inbound, server) == Reach("vpn.example.org", 1080, guessed=False)
    named = msgspec.structs.replace(inbound, public_host="2001:db8::1", public_port=443)
    assert reach(named, server) == Reach("2001:db8::1", 443, guessed=False)


def test_no_link_leads_to_a_port_that_is_not_known_yet():
    assert links_for([Inbound("main", "mixed", Endpoint("127.0.0.1", 0))], "alice", "x") == []
