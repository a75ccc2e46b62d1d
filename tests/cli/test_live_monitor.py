import pytest

from tests.cli.test_monitor_picture import OVERVIEW
from vpn.api.client import APIError, Unreachable
from vpn.cli.live_monitor import _View
from vpn.cli.screen import Size


class Daemon:
    """What the API would tell."""

    def __init__(self):
        self.asked = []
        self.error = None

    def overview(self, most, order):
        self.asked.append(order)
        if self.error is not None:
            raise self.error
        return OVERVIEW


@pytest.fixture
def daemon():
    return Daemon()


@pytest.fixture
def view(daemon):
    view = _View(daemon)
    view.fetch()
    return view


def text(view):
    return "\n".join(line.text for line in view.draw(Size(80, 24)))


@pytest.mark.parametrize("error", [Unreachable("it broke off", ""), APIError(503, "stopping", "it is stopping", "")])
def test_while_there_is_no_answer_the_picture_stays_and_says_so(view, daemon, error):
    daemon.error = error
    view.fetch_if_wanted()
    assert str(error) in text(view)
    assert "worker 0" in text(view)
    daemon.error = None
    view.fetch_if_wanted()
    assert str(error) not in text(view)


def test_the_first_picture_has_to_be_told(daemon):
    daemon.error = Unreachable("no daemon is running", "")
    with pytest.raises(Unreachable):
        _View(daemon).fetch()


def test_while_it_is_paused_nothing_is_asked_but_for_another_order(view, daemon):
    assert view.on_key("p")
    view.fetch_if_wanted()
    assert daemon.asked == ["rate"]
    assert "paused" in text(view)
    assert view.on_key("s")
    assert daemon.asked == ["rate", "sessions"]
    assert "paused" in text(view)
    assert view.on_key("p")
    assert "paused" not in text(view)


def test_q_is_enough_and_other_keys_are_nothing(view):
    assert view.on_key("x")
    assert not view.on_key("q")


def test_on_paper_there_are_no_keys_and_no_empty_lines_at_the_end(view):
    lines = [line.text for line in view.whole()]
    assert "q quit" not in "\n".join(lines)
    assert lines[-1]
