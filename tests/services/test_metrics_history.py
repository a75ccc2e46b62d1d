from vpn.services.metrics_history import History, Point


def point(moment, active=0, total=0):
    return Point(moment, active, total, 0, 10 * total, 0, 1000 + active, 5.0)


def test_points_come_back_in_their_order():
    history = History(5, 1)
    for moment in range(10):
        history.add(point(moment, total=moment))
    assert [each.timestamp for each in history.since(4, 100)] == [4, 5, 6, 7, 8, 9]
    assert history.since(100, 10) == []


def test_the_oldest_go_when_there_are_too_many():
    history = History(600, 1)
    for moment in range(17):
        history.add(point(moment))
    assert len(history) == 6
    assert [each.timestamp for each in history] == [11, 12, 13, 14, 15, 16]


def test_one_stands_for_several():
    history = History(5, 1)
    for moment in range(10):
        history.add(point(moment, active=moment, total=100 * moment))
    found = history.since(0, 4)
    assert [each.timestamp for each in found] == [2, 5, 8, 9]
    assert [each.active_sessions for each in found] == [1, 4, 7, 9], "the mean"
    assert [each.total_sessions for each in found] == [200, 500, 800, 900], "as it was last"


def test_whatever_is_asked_for_there_are_never_more():
    history = History(1, 1)
    for moment in range(137):
        history.add(point(moment))
    for most in range(1, 150):
        assert len(history.since(0, most)) <= most
