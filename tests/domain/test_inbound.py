import msgspec

from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound


def test_an_inbound_survives_the_way_to_a_worker():
    inbound = Inbound("main", "mixed", Endpoint("::1", 1080))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(inbound), type=Inbound) == inbound
    assert inbound.engine == "embedded"
