from vpn.domain import familiar as module
from vpn.domain.familiar import FAMILIAR_FOR, MOST_SOURCES, Familiar


def test_where_the_right_password_came_from():
    familiar = Familiar()
    assert not familiar.knows("192.0.2.1", "alice", 0.0)
    familiar.see("192.0.2.1", "alice", 0.0)
    assert familiar.knows("192.0.2.1", "alice", 1.0)
    assert not familiar.knows("192.0.2.1", "bob", 1.0)
    assert not familiar.knows("192.0.2.2", "alice", 1.0)
    assert list(familiar.sources("alice", 1.0)) == ["192.0.2.1"]
    assert list(familiar.sources("bob", 1.0)) == []


def test_it_is_forgotten_a_week_after_the_last_time():
    familiar = Familiar()
    familiar.see("a", "alice", 0.0)
    familiar.see("b", "alice", 0.0)
    familiar.see("a", "alice", 1000.0)
    assert familiar.knows("a", "alice", FAMILIAR_FOR)
    assert not familiar.knows("b", "alice", FAMILIAR_FOR)
    assert list(familiar.sources("alice", FAMILIAR_FOR)) == ["a"]


def test_it_is_bounded_and_the_longest_unseen_go_first(monkeypatch):
    monkeypatch.setattr(module, "MOST_USERS", 2)
    familiar = Familiar()
    for number in range(MOST_SOURCES):
        familiar.see(str(number), "alice", 0.0)
    familiar.see("0", "alice", 1.0)
    familiar.see("new", "alice", 1.0)
    sources = familiar.sources("alice", 1.0)
    assert len(sources) == MOST_SOURCES
    assert "0" in sources
    assert "1" not in sources
    familiar.see("x", "bob", 1.0)
    familiar.see("x", "alice", 2.0)
    familiar.see("x", "carol", 2.0)
    assert [familiar.knows("x", user, 2.0) for user in ("alice", "bob", "carol")] == [True, False, True]
