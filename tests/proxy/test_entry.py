import os

import pytest

from vpn.domain.address import Endpoint
from vpn.domain.inbound import TLS, Inbound
from vpn.proxy import limits
from vpn.proxy.entry import Entry


@pytest.fixture
def counters():
    memory = limits.create(1)
    counted = limits.Counters(memory)
    os.close(memory)
    return counted


def entry(counters, everything=0, **fields):
    inbound = Inbound("main", "mixed", Endpoint("127.0.0.1", 1), **fields)
    return Entry(
        7, inbound, counters.column(limits.EVERYTHING, everything), counters.column(1, inbound.max_connections)
    )


@pytest.mark.parametrize(("everything", "own", "most"), [(0, 2, 2), (2, 0, 2), (3, 2, 2), (2, 3, 2)])
def test_the_lower_limit_holds_and_a_refused_client_takes_no_place(counters, everything, own, most):
    inbound = entry(counters, everything, max_connections=own)
    for _ in range(2):
        assert [inbound.take_place() for _ in range(most + 2)] == [True] * most + [False] * 2
        assert (counters.total(limits.EVERYTHING), counters.total(1)) == (most, most)
        for _ in range(most):
            inbound.give_place()
        assert (counters.total(limits.EVERYTHING), counters.total(1)) == (0, 0)


def test_an_amended_inbound_counts_on(counters):
    before, after = entry(counters), entry(counters, max_connections=1)
    assert before.take_place()
    assert not after.take_place()
    before.give_place()
    assert after.take_place()


def test_who_is_admitted(counters):
    inbound = entry(counters, open_to=("10.0.0.0/8", "fe80::/10"), anonymous_user="guest")
    assert [inbound.admitted(host) for host in ("10.1.1.1", "fe80::1%eth0", "192.0.2.1", "")] == ["guest"] * 2 + [
        ""
    ] * 2
    assert entry(counters).admitted("10.1.1.1") == ""


def test_who_is_trusted(counters):
    inbound = entry(counters, trusted_proxies=("10.0.0.0/8", "fe80::/10"))
    assert [inbound.trusts(host) for host in ("10.1.1.1", "fe80::1%eth0", "192.0.2.1")] == [True, True, False]
    assert not entry(counters).trusts("10.1.1.1")


def test_plain(counters):
    assert entry(counters, open_to=("10.0.0.0/8",)).plain
    assert not entry(counters, trusted_proxies=("10.0.0.0/8",)).plain
    assert not entry(counters, tls=TLS(certificate="c", key="k")).plain
