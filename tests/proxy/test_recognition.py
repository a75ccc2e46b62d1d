import pytest

from vpn.domain.shadowsocks import METHODS
from vpn.proxy import recognition
from vpn.proxy.keyring import UserKey
from vpn.proxy.poller import Poller
from vpn.proxy.recognition import MOST_USERS, MOST_WAITING_THERE, SLICE, Found, Recognition

KEYS = [UserKey(METHODS["aes-128-gcm"], f"user{number}", "") for number in range(SLICE * 3 + 1)]


@pytest.fixture
def poller():
    return Poller(pytest.fail)


class Client:
    """Whose key is one of these, or none."""

    def __init__(self, recognised, source, user=""):
        self.user = user
        self.tried = 0
        self.said = []
        self.waits = recognised.wait(source, self.attempt, iter(KEYS), self.said.append)

    def attempt(self, key):
        self.tried += 1
        return "opened" if key.user == self.user else None


def test_keys_are_tried_in_slices(poller):
    client = Client(Recognition(poller), 1, f"user{SLICE * 2}")
    tried = []
    while not client.said:
        poller.turn(0)
        tried.append(client.tried)
    assert tried == [SLICE, SLICE * 2, SLICE * 2 + 1]
    assert client.said == [Found(KEYS[SLICE * 2], "opened")]


def test_who_has_none_of_them_is_nobody(poller):
    client = Client(Recognition(poller), 1)
    for _ in range(5):
        poller.turn(0)
    assert client.said == [None]
    assert client.tried == len(KEYS)


def test_addresses_take_turns(poller):
    recognised = Recognition(poller)
    crowd = [Client(recognised, 1) for _ in range(MOST_WAITING_THERE)]
    alone = Client(recognised, 2, "user0")
    poller.turn(0)
    poller.turn(0)
    assert alone.said == [Found(KEYS[0], "opened")]
    assert sum(each.tried for each in crowd) == SLICE
    while not all(each.said for each in crowd):
        poller.turn(0)
    late = Client(recognised, 1, "user1")
    poller.turn(0)
    assert late.said == [Found(KEYS[1], "opened")]


def test_only_so_many_may_wait(poller, monkeypatch):
    monkeypatch.setattr(recognition, "MOST_WAITING", MOST_WAITING_THERE + 2)
    recognised = Recognition(poller)
    assert all(Client(recognised, 1).waits for _ in range(MOST_WAITING_THERE))
    assert not Client(recognised, 1).waits
    assert Client(recognised, 2).waits
    assert Client(recognised, 3).waits
    assert not Client(recognised, 4).waits


def test_who_came_last_is_tried_first(poller):
    recognised = Recognition(poller)
    assert recognised.recent(1) == ()
    for user in ("a", "b", "c", "b", "d", "e"):
        recognised.remember(1, user)
    recognised.remember(2, "x")
    assert recognised.recent(1) == ("e", "d", "b", "c")
    assert len(recognised.recent(1)) == MOST_USERS
    assert recognised.recent(2) == ("x",)


def test_addresses_that_are_not_seen_any_more_are_forgotten(poller, monkeypatch):
    monkeypatch.setattr(recognition, "MOST_SOURCES", 2)
    recognised = Recognition(poller)
    for source in (1, 2, 1, 3):
        recognised.remember(source, "a")
    assert [recognised.recent(source) for source in (1, 2, 3)] == [("a",), (), ("a",)]
