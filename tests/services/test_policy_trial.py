import pytest

from vpn.domain.acl import CompiledPolicy
from vpn.domain.errors import Invalid
from vpn.domain.policy import ALLOW_ALL, GroupRules, Policy, Rule
from vpn.services.policy_trial import Attempt, try_policy

pytestmark = pytest.mark.anyio


def rules(*destinations):
    blocking = tuple(Rule(action="block", destinations=(each,)) for each in destinations)
    return CompiledPolicy(Policy("allow", {"everyone": GroupRules(blocking)}))


def attempt(host, **fields):
    return Attempt(user="alice", host=host, port=443, at=0, **fields)


async def test_a_name_is_judged_by_its_addresses_where_rules_look_at_them():
    trial = await try_policy(rules("127.0.0.0/8", "::1"), attempt("localhost"), ())
    assert not trial.decision.allowed
    assert {each.address for each in trial.judged} <= {"127.0.0.1", "::1"}
    assert trial.judged
    assert trial.resolved


async def test_an_address_that_is_allowed_is_enough():
    trial = await try_policy(rules("::1", "10.0.0.0/8"), attempt("localhost"), ())
    assert trial.decision.allowed


async def test_a_name_is_not_resolved_where_it_is_enough():
    trial = await try_policy(rules("a.test"), attempt("a.test"), None)
    assert (trial.decision.name, trial.judged, trial.resolved) == ("groups.everyone.rules.0", (), True)


async def test_a_name_without_addresses_is_told():
    trial = await try_policy(rules("10.0.0.0/8"), attempt("a..b"), None)
    assert (trial.judged, trial.resolved) == ((), False)


async def test_a_source_has_to_be_an_address():
    with pytest.raises(Invalid):
        await try_policy(CompiledPolicy(ALLOW_ALL), attempt("a.test", source="home"), None)


@pytest.mark.parametrize(
    ("host", "destinations", "special"),
    [
        ("10.0.0.5", (), "private"),
        ("::ffff:127.0.0.1", (), "loopback"),
        ("localhost", ("192.0.2.0/24",), "loopback"),
        ("8.8.8.8", (), ""),
        ("a.test", (), ""),
    ],
)
async def test_what_the_guard_refuses_is_told(host, destinations, special):
    assert (await try_policy(rules(*destinations), attempt(host), None)).special == special
