import socket

import pytest

from tests.support.servers import unused_port
from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.proxy import binding
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


def phones(port=0, host="127.0.0.1"):
    return Inbound("phones", "shadowsocks", Endpoint(host, port), method="aes-256-gcm")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_datagrams_come_to_the_same_address_and_port(host):
    bound = bind(phones(host=host), 2)
    assert bound.packets is not None
    assert bound.packets.getsockname()[:2] == bound.sockets[0].getsockname()[:2]
    bound.close()
    assert bound.packets.fileno() == -1


def test_one_worker_is_given_the_socket_for_datagrams():
    bound = bind(phones(), 3)
    bound.number, bound.packets_number = 7, 8
    given = [bound.listening(worker).numbers for worker in range(3)]
    assert sorted(given) == [(7,), (7,), (7, 8)]
    assert [tuple(number for number, _ in bound.served_by(worker)) for worker in range(3)] == given
    bound.close()
    other = bind(phones(), 3)
    other.number, other.packets_number = 9, 8
    has_it = given.index((7, 8))
    assert other.listening(has_it).numbers == (9, 8), "what has come to one inbound of a method is known at all of them"
    other.close()


def test_a_port_that_is_taken_for_datagrams_only():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        port = unused_port()
        taken.bind(("127.0.0.1", port))
        with pytest.raises(OSError, match=r"in use \(UDP\)"):
            bind(phones(port), 1)
        mixed = bind(Inbound("main", "mixed", Endpoint("127.0.0.1", port)), 1)  # which is free, then
        with pytest.raises(OSError, match=r"in use \(UDP\)"):
            mixed.prepare(phones(port))
        mixed.close()


def test_any_port_is_one_that_is_free_for_datagrams_too(monkeypatch):
    tried = []
    real = binding.open_packets

    def open_packets(endpoint, family):
        tried.append(endpoint.port)
        if len(tried) < 3:
            raise OSError(98, "Address already in use")
        return real(endpoint, family)

    monkeypatch.setattr(binding, "open_packets", open_packets)
    bound = bind(phones(), 1)
    assert bound.inbound.listen.port == tried[-1]
    bound.close()


def test_the_socket_for_datagrams_comes_and_goes_with_the_protocol():
    mixed = Inbound("main", "mixed", Endpoint("127.0.0.1", 0))
    bound = bind(mixed, 1)
    assert bound.packets is None
    bound.prepare(phones())
    bound.amend(phones())
    first = bound.packets
    assert first is not None
    bound.packets_number = 5
    bound.prepare(phones())
    bound.amend(phones())
    assert (bound.packets, bound.packets_number) == (first, 5)
    bound.amend(mixed)
    assert (bound.packets, bound.packets_number, first.fileno()) == (None, 0, -1)
    bound.close()
