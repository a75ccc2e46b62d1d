from __future__ import annotations

import pytest

from tests.support.geoip import write_mmdb
from vpn.domain.acl import request_for
from vpn.domain.policy import GroupRules, Policy, Rule
from vpn.proxy import rules
from vpn.proxy.background import Background
from vpn.proxy.control import NO_RULES
from vpn.proxy.control import Rules as Message
from vpn.proxy.poller import Poller
from vpn.proxy.rules import Rules


def policy(*destinations, default="allow"):
    return Policy(
        default, {"everyone": GroupRules(tuple(Rule(action="block", destinations=(d,)) for d in destinations))}
    )


class Worker:
    """The loop and the rules of a worker."""

    def __init__(self):
        self.errors = []
        self.poller = Poller(self.errors.append)
        self.policies = []
        self.rules = Rules(Background(self.poller), self.policies.append)
        self.done = []

    def work_from(self, message):
        self.rules.work_from(message, lambda problem: self.done.append((message.version, problem)))

    def run_until(self, condition):
        for _ in range(200):
            if condition():
                return
            self.poller.turn(0.05)
        raise AssertionError("it did not come to that")

    def allows(self, host):
        request = request_for(host, 443, udp=False, source=b"\x7f\0\0\1", now=0)
        return self.policies[-1].pool("alice").decide(request).allowed


@pytest.fixture
def worker():
    return Worker()


def test_few_rules_are_in_force_at_once(worker):
    assert worker.rules.version == -1
    worker.work_from(NO_RULES)
    assert worker.allows("a.test")
    worker.work_from(Message(1, policy("a.test")))
    assert worker.done == [(0, ""), (1, "")]
    assert not worker.allows("a.test")
    assert len(worker.policies) == 2


def test_many_rules_are_compiled_while_the_loop_goes_on(worker):
    worker.work_from(Message(1, policy(*(f"n{number}.test" for number in range(rules.FEW + 1)))))
    assert worker.done == []
    worker.run_until(lambda: worker.done)
    assert worker.done == [(1, "")]
    assert not worker.allows("n7.test")


def test_a_small_policy_that_overtakes_a_large_one_stays(worker):
    worker.work_from(Message(1, policy(*(f"n{number}.test" for number in range(rules.FEW + 1)))))
    worker.work_from(Message(2, policy("a.test")))
    worker.run_until(lambda: len(worker.done) == 2)
    assert not worker.allows("a.test")
    assert worker.allows("n7.test")
    assert worker.rules.version == 2


def test_the_file_of_countries_is_opened_anew_each_time(worker, tmp_path):
    path = write_mmdb(tmp_path / "c.mmdb", {"192.0.2.0/24": {"country_code": "DE"}})
    worker.work_from(Message(1, policy("country:DE"), str(path)))
    assert not worker.allows("192.0.2.1")
    write_mmdb(tmp_path / "new", {"192.0.2.0/24": {"country_code": "FR"}}).rename(path)
    worker.work_from(Message(2, policy("country:DE"), str(path)))
    assert worker.allows("192.0.2.1")


@pytest.mark.parametrize("count", [1, rules.FEW + 1])
def test_a_policy_that_cannot_be_worked_by_leaves_the_one_before(worker, tmp_path, count):
    worker.work_from(Message(1, policy("a.test")))
    worker.work_from(Message(2, policy(*["country:DE"] * count), str(tmp_path / "none.mmdb")))
    worker.run_until(lambda: len(worker.done) == 2)
    ((version, problem),) = worker.done[1:]
    assert version == 2
    assert "none.mmdb" in problem
    assert not worker.allows("a.test")
    assert worker.rules.version == 1
