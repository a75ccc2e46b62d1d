from vpn.domain.session import Session
from vpn.proxy.control import Moved
from vpn.proxy.reporting import Told


class Live:
    def __init__(self, number):
        self.session = Session(number, "main", "192.0.2.1", 1, 0.0)


def test_every_session_is_told_once_and_then_what_it_moves():
    told, live = Told(), [Live(1), Live(2)]
    assert told.news(live) == (0, 0, 2, [each.session for each in live], [])
    live[0].session.bytes_sent, live[0].session.packets_sent = 5, 1
    assert told.news(live) == (5, 0, 2, [], [Moved(1, 5, 0, 1, 0)])
    assert told.news(live) == (5, 0, 2, [], [])


def test_it_is_told_whole_when_more_is_known():
    told, live = Told(), Live(1)
    told.news([live])
    for name, value in (("user", "alice"), ("host", "a.test"), ("address", "192.0.2.2"), ("server_name", "a.test")):
        setattr(live.session, name, value)
        assert told.news([live]).fresh == [live.session]
    live.session.bytes_received = 1
    assert told.news([live]).fresh == [live.session]  # with the time of its first byte
    live.session.bytes_received = 2
    assert told.news([live]).moved == [Moved(1, 0, 2, 0, 0)]


def test_what_has_ended_or_not_begun_is_not_told():
    told, ended, idle = Told(), Live(1), Live(0)
    ended.session.end("closed", "eof", 1.0)
    assert told.news([ended, idle]) == (0, 0, 0, [], [])


def test_who_is_gone_is_forgotten():
    told, live = Told(), Live(1)
    told.news([live])
    assert told.news([]).active == 0
    assert told.news([live]).fresh == [live.session]


def test_the_gauges_are_of_this_moment(plane, echo_port):
    before = plane.do(plane.core.report).gauges
    with plane.tunnel(echo_port) as client:
        client.sendall(b"x")
        client.recv(1)
        now = plane.do(plane.core.report).gauges
    assert now.rss > 1 << 20
    assert before.descriptors < now.descriptors < now.most_descriptors
    assert 0 < now.loop_lag < 5
    assert (now.pipes, now.pipes_in_use, now.sessions_waiting) == (0, 0, 0)
