import pytest

from vpn.domain.shadowsocks import METHODS
from vpn.proxy import recognition
from vpn.proxy.keyring import UserKey
from vpn.proxy.poller import Poller
from vpn.proxy.recognition import MOST_WAITING_THERE, SLICE, Found, Recognition

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


def test_so_many_keys_are_tried_in_a_second(poller, monkeypatch):
    monkeypatch.setattr(recognition, "BURST", 0.0)
    recognised = Recognition(poller, 1 << 20)
    recognised._rate = 0.001
    client = Client(recognised, 1)
    for _ in range(5):
        poller.turn(0)
    assert client.tried == 0
    monkeypatch.setattr(recognition, "BURST", 1.0)
    recognised._rate = 1 << 20
    for _ in range(100):
        poller.turn(0.1)
        if client.said:
            break
    assert (client.tried, client.said) == (len(KEYS), [None])


def test_after_a_pause_there_are_tokens_for_more(poller, monkeypatch):
    monkeypatch.setattr(recognition, "BURST", 2 * SLICE / 0.5)
    client = Client(Recognition(poller, 0.5), 1)
    for _ in range(10):
        poller.turn(0)
    assert client.tried == 2 * SLICE
