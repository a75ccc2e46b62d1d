import socket
from functools import partial

import pytest

from vpn.domain.address import Endpoint
from vpn.domain.errors import Unavailable
from vpn.domain.inbound import Inbound
from vpn.services.sockets import bind_all, free_port, listen_on, listen_trouble, port_trouble


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_a_free_port_can_be_had_for_both(host):
    port = free_port(host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as sock:
            sock.bind((host, port))


def test_what_cannot_be_listened_on():
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = Endpoint("127.0.0.1", other.getsockname()[1])
        with pytest.raises(Unavailable, match="cannot listen") as refused:
            listen_on(listen, partial(port_trouble, setting="api.listen"))
        assert "api.listen" in refused.value.hint
        assert "stop what uses it" in refused.value.hint
        assert "drain" not in refused.value.hint
    with pytest.raises(Unavailable) as refused:
        free_port("192.0.2.1")
    assert refused.value.hint == "name an address of this machine"
    with pytest.raises(Unavailable, match="not a host name"):
        listen_on(Endpoint("x" * 300, 1), partial(listen_trouble, hint="?"))


def test_a_port_whose_datagrams_are_still_somebodys():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        listen = Endpoint("127.0.0.1", other.getsockname()[1])
        with pytest.raises(Unavailable, match=r"in use \(UDP\)") as refused:
            bind_all([Inbound("phones", "shadowsocks", listen, method="aes-128-gcm")], 1)
        assert "proxy.drain_timeout seconds: then try again" in refused.value.hint
