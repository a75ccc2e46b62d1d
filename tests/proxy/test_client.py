import pytest

from tests.support.plane import lone_accounts
from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.proxy.client import Client
from vpn.proxy.control import SnapshotLimits, SnapshotUser
from vpn.proxy.meter import CONNECTIONS, STOP

ONE = SnapshotLimits(max_connections=1)


class Entry:
    inbound = Inbound("main", "mixed", Endpoint("127.0.0.1", 1))
    given = 0

    def give_place(self):
        self.given += 1


class House:
    def __init__(self):
        self.accounts = lone_accounts()
        self.users = {
            "alice": SnapshotUser("alice", 1, slot=1, limits=ONE),
            "bob": SnapshotUser("bob", 1, slot=2),
            "carol": SnapshotUser("carol", 1, "user_expired", slot=3),
        }
        self.entry = Entry()

    def client(self):
        return Client(self.entry, self.account(""))

    def account(self, name):
        return self.accounts.of(name, self.users.get)

    def stop(self, slot):
        return self.accounts._meter.order(slot) + STOP

    def connections(self, name):
        account = self.account(name)
        return account.cells[account.own + CONNECTIONS]


@pytest.fixture
def house():
    return House()


def test_a_client_holds_one_place_of_its_user_however_often_it_asks(house):
    client = house.client()
    assert [client.become(house.account("alice"), "192.0.2.1", 0.0) for _ in range(3)] == [""] * 3
    assert house.connections("alice") == 1
    assert house.client().become(house.account("alice"), "192.0.2.1", 0.0) == "too_many_connections_of_user"
    client.leave()
    assert (house.connections("alice"), house.entry.given) == (0, 1)


def test_another_user_on_the_same_connection_takes_the_place_over(house):
    client = house.client()
    client.become(house.account("alice"), "192.0.2.1", 0.0)
    assert client.become(house.account("bob"), "192.0.2.1", 0.0) == ""
    assert (house.connections("alice"), house.connections("bob")) == (0, 1)


def test_who_cannot_be_another_one_stays_who_it_is(house):
    first, second = house.client(), house.client()
    first.become(house.account("alice"), "192.0.2.1", 0.0)
    second.become(house.account("bob"), "192.0.2.1", 0.0)
    assert second.become(house.account("alice"), "192.0.2.1", 0.0) == "too_many_connections_of_user"
    assert second.account is house.account("bob")
    assert house.connections("bob") == 1


def test_the_blocked_and_those_who_have_had_enough_are_told_so(house):
    assert house.client().become(house.account("carol"), "192.0.2.1", 0.0) == "user_expired"
    bob = house.account("bob")
    client = house.client()
    assert client.become(bob, "192.0.2.1", 0.0) == ""
    bob.cells[house.stop(2)] = 10
    bob.up.count(10)
    assert client.become(bob, "192.0.2.1", 0.0) == "over_quota"


def test_a_client_that_never_said_who_it_is_gives_its_place_back(house):
    house.client().leave()
    assert (house.entry.given, house.connections("")) == (1, 0)


def test_who_is_forgotten_gives_its_place_back_once(house):
    client = house.client()
    client.become(house.account("alice"), "192.0.2.1", 0.0)
    client.forget(house.account(""))
    client.leave()
    assert (house.connections("alice"), client.account.name) == (0, "")


def test_a_client_is_unwelcome_where_its_user_may_no_longer_come_from(house):
    client = house.client()
    assert client.unwelcome() == ""
    client.become(house.account("bob"), "192.0.2.1", 0.0)
    for limits, why in [
        (SnapshotLimits(sources=("192.0.2.0/24",), inbounds=("main",)), ""),
        (SnapshotLimits(sources=("198.51.100.0/24",)), "source_not_allowed"),
        (SnapshotLimits(inbounds=("other",)), "inbound_not_allowed"),
    ]:
        house.account("bob").amend(SnapshotUser("bob", 1, slot=2, limits=limits))
        assert client.unwelcome() == why


def test_a_client_that_moves_holds_one_place(house):
    client = house.client()
    assert client.become(house.account("alice"), "192.0.2.1", 0) == ""
    assert client.move("192.0.2.2", 0) == "", "there is one place, which it has"
    assert (client.address, house.connections("alice")) == (bytes([192, 0, 2, 2]), 1)
    client.leave()
    assert house.connections("alice") == 0


def test_a_client_that_may_not_move_holds_none(house):
    house.users["alice"] = SnapshotUser("alice", 1, slot=1, limits=SnapshotLimits(sources=("192.0.2.1/32",)))
    client = house.client()
    assert client.become(house.account("alice"), "192.0.2.1", 0) == ""
    assert client.move("192.0.2.2", 0) == "source_not_allowed"
    assert house.connections("alice") == 0
    client.leave()
    assert house.connections("alice") == 0
