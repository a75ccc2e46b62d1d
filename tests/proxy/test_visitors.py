from vpn.proxy import visitors as module
from vpn.proxy.visitors import MOST_USERS, Visitors


def test_who_came_last_is_tried_first():
    visitors = Visitors()
    assert visitors.recent(1) == ()
    for user in ("a", "b", "c", "b", "d", "e"):
        visitors.remember(1, user)
    visitors.remember(2, "x")
    assert visitors.recent(1) == ("e", "d", "b", "c")
    assert len(visitors.recent(1)) == MOST_USERS
    assert visitors.recent(2) == ("x",)


def test_addresses_that_are_not_seen_any_more_are_forgotten(monkeypatch):
    monkeypatch.setattr(module, "MOST_SOURCES", 2)
    visitors = Visitors()
    for source in (1, 2, 1, 3):
        visitors.remember(source, "a")
    assert [visitors.recent(source) for source in (1, 2, 3)] == [("a",), (), ("a",)]
