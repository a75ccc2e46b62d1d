from vpn.proxy.waiting import MOST, Waiting


def test_each_user_has_so_much():
    waiting = Waiting()
    assert waiting.take("alice", MOST - 1)
    assert not waiting.take("alice", 2)
    assert waiting.take("bob", 2)
    assert waiting.take("alice", 1)
    waiting.give("alice", MOST)
    assert waiting.total == 2
    assert waiting.take("alice", MOST)


def test_nothing_is_kept_of_those_who_have_nothing():
    waiting = Waiting()
    assert waiting.take("alice", 5)
    waiting.give("alice", 5)
    waiting.give("bob", 0)
    assert not waiting.take("carol", MOST + 1)
    assert not waiting._bytes
