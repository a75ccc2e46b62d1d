import pytest

from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.proxy.binding import bind


def test_a_port_that_is_taken_is_not_shared():
    taken = bind(Inbound("main", "mixed", Endpoint("127.0.0.1", 0)), 2)
    with pytest.raises(OSError, match="in use"):
        bind(taken.inbound, 1)
    for sock in taken.sockets:
        sock.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_all_workers_get_the_same_port(host):
    bound = bind(Inbound("main", "mixed", Endpoint(host, 0)), 3)
    assert {sock.getsockname()[1] for sock in bound.sockets} == {bound.inbound.listen.port}
    for sock in bound.sockets:
        sock.close()
