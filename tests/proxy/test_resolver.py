from types import SimpleNamespace

import pytest

from tests.support.dns import name_server
from vpn.domain.address import pack
from vpn.domain.destination import normal_name
from vpn.domain.egress import Resolving
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


# --- other settings


def test_given_addresses_need_no_server_and_have_no_case(poller, resolver, server):
    resolver.configure(Resolving(hosts={"nas.home": ("2001:db8::9", "192.0.2.9"), "none.home": ()}))
    for name in ("nas.home", "NAS.Home", "nas.home."):
        assert ask(poller, resolver, name) == [pack("2001:db8::9"), pack("192.0.2.9")]
    assert ask(poller, resolver, "none.home") == []
    assert server.asked == []


@pytest.mark.parametrize(("prefer", "first"), [("v4", "192.0.2.1"), ("v6", "2001:db8::1")])
def test_the_preferred_family_comes_first(poller, resolver, server, prefer, first):
    server.records["two.test"] = ["2001:db8::1", "192.0.2.1"]
    hosts = {"given.test": ("2001:db8::1", "192.0.2.1")}
    resolver.configure(Resolving(prefer=prefer, hosts=hosts))
    for name in ("two.test", "given.test"):
        answer = ask(poller, resolver, name)
        assert (answer[0], len(answer)) == (pack(first), 2)


def test_other_servers_are_asked_and_what_was_learnt_is_forgotten(poller, resolver, server):
    server.records["a.test"] = ["192.0.2.1"]
    assert ask(poller, resolver, "a.test") == [pack("192.0.2.1")]
    with name_server() as other:
        other.records["a.test"] = ["192.0.2.2"]
        resolver.configure(Resolving(servers=(f"127.0.0.1:{other.port}",)))
        assert ask(poller, resolver, "a.test") == [pack("192.0.2.2")]
        questions = len(other.asked)
        resolver.configure(Resolving(servers=(f"127.0.0.1:{other.port}",)))
        assert ask(poller, resolver, "a.test") == [pack("192.0.2.2")]
        assert len(other.asked) == questions, "nothing has changed"


def test_who_waits_while_the_servers_change_is_answered_and_may_ask_the_new_ones(poller, resolver, server):
    server.silent = True
    answers = []

    def again(answer):
        answers.append(answer)
        resolver.resolve("a.test", answers.append)

    resolver.resolve("a.test", again)
    with name_server() as other:
        other.records["a.test"] = ["192.0.2.2"]
        resolver.configure(Resolving(servers=(f"127.0.0.1:{other.port}",)))
        for _ in range(100):
            if len(answers) == 2:
                break
            poller.turn(0.05)
    assert answers == [[], [pack("192.0.2.2")]]


def test_no_descriptor_is_left_when_the_servers_change(poller, resolver, server):
    server.silent = True
    resolver.resolve("a.test", lambda answer: None)
    assert resolver._watched
    resolver.configure(Resolving(servers=("127.0.0.1:1",)))
    assert not resolver._watched
    assert not poller._handlers


@pytest.mark.parametrize("name", ["ex\\097mple.test", "ex\\ample.test", "example\\.test", "\\101.test"])
def test_an_escape_is_no_other_way_to_write_a_name(poller, resolver, server, name):
    """A rule about example.test would not know it."""
    server.records |= {"example.test": ["192.0.2.1"], "a.test": ["192.0.2.1"]}
    assert ask(poller, resolver, name) == []
    assert server.asked == []


@pytest.mark.parametrize("name", ["stra\u00dfe.test", "STRA\u00dfE.test", "stra\u00dfe\u3002test"])
def test_what_is_asked_for_is_what_the_rules_have_seen(poller, resolver, server, name):
    server.records |= {"strasse.test": ["192.0.2.1"], "xn--strae-oqa.test": ["192.0.2.2"]}
    assert ask(poller, resolver, name) == [pack("192.0.2.1")]
    assert normal_name(name) == "strasse.test"


def test_a_final_dot_is_asked_with(poller, resolver, server):
    """Without it the machine's search domains would be tried as well."""
    asked = []
    resolver.close()
    resolver._channel = SimpleNamespace(
        getaddrinfo=lambda name, *_, **__: asked.append(name), timeout=lambda: 1.0, cancel=str, close=str
    )
    resolver.resolve("A.test.", asked.append)
    assert asked == ["a.test."]
