import msgspec

from vpn.domain.address import Endpoint
from vpn.domain.egress import DIRECT, Choice, Egress, Pool, Resolving, Route, Upstream


def test_it_survives_the_way_to_a_worker():
    egress = Egress(
        private_destinations=True,
        resolving=Resolving(servers=("192.0.2.1:53",), prefer="v6", hosts={"a.test": ("192.0.2.1", "::1")}),
        upstreams=(Upstream(name="a", protocol="https", address=Endpoint("::1", 1), user="u", password="p", via="b"),),
        routes=(Route(upstreams=(Choice("a", 0), Choice(DIRECT)), destinations=("*",), users=("alice",)),),
        pool=Pool(max_idle_per_upstream=1),
        probe_interval=0.5,
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(egress), type=Egress) == egress


def test_by_default_nothing_private_is_reached_and_nothing_kept_ready():
    egress = Egress()
    assert not egress.private_destinations
    assert (egress.upstreams, egress.routes, egress.pool.max_idle_per_upstream) == ((), (), 0)
