import pytest

from tests.support.dns import name_server
from vpn.domain.address import pack
from vpn.proxy.poller import Poller
from vpn.proxy.resolver import CAPACITY, LONGEST, NEGATIVE, SHORTEST, Resolver


@pytest.fixture
def server():
    with name_server() as running:
        yield running


@pytest.fixture
def poller():
    errors = []
    yield Poller(errors.append)
    assert errors == []


@pytest.fixture
def resolver(poller, server):
    resolver = Resolver(poller, servers=[f"127.0.0.1:{server.port}"], timeout=0.2, tries=2)
    yield resolver
    resolver.close()


def ask(poller, resolver, name):
    answers = []
    resolver.resolve(name, answers.append)
    for _ in range(1000):
        if answers:
            return answers[0]
        poller.turn(0.05)
    raise AssertionError("no answer")


def addresses(*texts):
    return {pack(text) for text in texts}


def test_both_families_are_found(poller, resolver, server):
    server.records["two.test"] = ["192.0.2.1", "2001:db8::1"]
    assert set(ask(poller, resolver, "two.test")) == addresses("192.0.2.1", "2001:db8::1")


def test_an_answer_is_remembered_in_any_case(poller, resolver, server):
    server.records["a.test"] = ["192.0.2.1"]
    ask(poller, resolver, "a.test")
    questions = len(server.asked)
    assert ask(poller, resolver, "A.Test") == [pack("192.0.2.1")]
    assert len(server.asked) == questions


def test_an_answer_is_forgotten_when_its_time_is_over(poller, resolver, server):
    server.ttl = 0  # which c-ares does not keep, and the resolver for its shortest time
    server.records["a.test"] = ["192.0.2.1"]
    ask(poller, resolver, "a.test")
    server.records["a.test"] = ["192.0.2.2"]
    poller.now += SHORTEST / 2
    assert ask(poller, resolver, "a.test") == [pack("192.0.2.1")]
    poller.now += SHORTEST
    assert ask(poller, resolver, "a.test") == [pack("192.0.2.2")]


def test_a_long_time_to_live_is_cut(poller, resolver, server):
    server.records["a.test"] = ["192.0.2.1"]
    server.ttl = 1_000_000
    ask(poller, resolver, "a.test")
    until, _ = resolver._cache["a.test"]
    assert until <= poller.now + LONGEST


def test_a_name_that_does_not_exist_is_remembered_for_a_short_time(poller, resolver, server):
    assert ask(poller, resolver, "none.test") == []
    questions = len(server.asked)
    assert ask(poller, resolver, "none.test") == []
    assert len(server.asked) == questions
    poller.now += NEGATIVE + 1
    server.records["none.test"] = ["192.0.2.1"]
    assert ask(poller, resolver, "none.test") == [pack("192.0.2.1")]


def test_a_silent_server_is_given_up_and_not_remembered(poller, resolver, server):
    server.silent = True
    server.records["a.test"] = ["192.0.2.1"]
    assert ask(poller, resolver, "a.test") == []
    server.silent = False
    assert ask(poller, resolver, "a.test") == [pack("192.0.2.1")]


def test_lookups_of_one_name_at_the_same_time_are_one(poller, resolver, server):
    server.records["a.test"] = ["192.0.2.1"]
    answers = []
    for _ in range(50):
        resolver.resolve("a.test", answers.append)
    for _ in range(100):
        poller.turn(0.05)
        if len(answers) == 50:
            break
    assert answers == [[pack("192.0.2.1")]] * 50
    assert len(server.asked) == 2, "one question for each family"


@pytest.mark.parametrize("name", ["a" * 64 + ".test", "x" * 300, "a..b", "\u00fc" * 100, ".", "a\u2024b"])
def test_what_is_no_name_has_no_address(poller, resolver, name):
    assert ask(poller, resolver, name) == []


def test_memory_is_bounded(poller, resolver, server):
    for number in range(CAPACITY + 10):
        resolver._remember(f"{number}.test", 60, [])
    assert len(resolver._cache) == CAPACITY


def test_localhost_needs_no_server(poller):
    resolver = Resolver(poller, servers=["127.0.0.1:1"], timeout=0.1, tries=1)
    assert pack("127.0.0.1") in ask(poller, resolver, "localhost")
    resolver.close()


def test_closing_tells_those_who_wait(poller, server):
    resolver = Resolver(poller, servers=[f"127.0.0.1:{server.port}"])
    server.silent = True
    answers = []
    resolver.resolve("a.test", answers.append)
    resolver.close()
    assert answers == [[]]
