import asyncio
import os
import threading

import pytest

from tests.support.supervised import until
from vpn.services import authentication as module
from vpn.services.authentication import NICENESS, THREADS, Authentication

pytestmark = pytest.mark.anyio

SOURCE = "192.0.2.1"


@pytest.fixture
def hashed(monkeypatch):
    """Counts the verifications that were really made."""
    calls = []

    def verify(password_hash, password):
        calls.append(password)
        return module_verify(password_hash, password)

    module_verify = module.verify_password
    monkeypatch.setattr(module, "verify_password", verify)
    return calls


@pytest.fixture
async def authentication(store, bans):
    authentication = Authentication(store, bans)
    yield authentication
    authentication.close()


async def test_right_wrong_and_unknown(authentication, users):
    user, _ = await users.add("alice", "s3cret")
    assert await authentication.verify("alice", "s3cret", SOURCE) == (True, user.credential)
    assert await authentication.verify("ALICE", "s3cret", SOURCE) == (True, user.credential)
    assert await authentication.verify("alice", "wrong", SOURCE) == (False, user.credential)
    for name in ("nobody", "", "a\0b", "x" * 255):
        assert await authentication.verify(name, "s3cret", SOURCE) == (False, 0)


async def test_a_verdict_is_remembered_until_the_password_changes(authentication, users, hashed):
    await users.add("alice", "one")
    for _ in range(3):
        assert (await authentication.verify("alice", "one", SOURCE))[0]
        assert not (await authentication.verify("alice", "two", SOURCE))[0]
    assert hashed == ["one", "two"]
    await users.set_password("alice", "two")
    assert not (await authentication.verify("alice", "one", SOURCE))[0]
    assert (await authentication.verify("alice", "two", SOURCE))[0]


async def test_that_a_user_is_disabled_is_no_verdict_on_the_password(authentication, users):
    """Workers know who is enabled; a verdict is remembered, and must not outlive that."""
    await users.add("alice", "one", enabled=False)
    assert (await authentication.verify("alice", "one", SOURCE))[0]


async def test_the_same_question_at_the_same_time_is_one(authentication, users, hashed):
    await users.add("alice", "s3cret")
    answers = await asyncio.gather(*(authentication.verify("alice", "s3cret", SOURCE) for _ in range(50)))
    assert all(accepted for accepted, _ in answers)
    assert hashed == ["s3cret"]


async def test_an_unknown_name_costs_a_verification_too(authentication, hashed):
    await authentication.verify("nobody", "x", SOURCE)
    assert hashed == ["x"]


async def test_failures_and_successes_are_counted(authentication, users, bans):
    await users.add("alice", "s3cret")
    for number in range(2):
        await authentication.verify("alice", f"wrong{number}", SOURCE)
    await authentication.verify("alice", "wrong0", SOURCE)
    assert bans.failures("source", SOURCE) == 3
    assert bans.failures("user", "alice") == 3
    assert not bans.familiar(SOURCE, "alice")
    await authentication.verify("Alice", "s3cret", SOURCE)
    assert bans.familiar(SOURCE, "alice")


async def test_each_who_shares_a_verification_is_counted(authentication, users, bans):
    await users.add("alice", "s3cret")
    sources = [f"192.0.2.{number}" for number in range(3)]
    await asyncio.gather(*(authentication.verify("alice", "wrong", source) for source in sources))
    assert [bans.failures("source", source) for source in sources] == [1, 1, 1]


async def test_who_is_banned_is_told_no_and_nothing_is_verified(authentication, users, bans, hashed):
    await users.add("alice", "s3cret")
    await bans.add(SOURCE, seconds=60)
    assert await authentication.verify("alice", "s3cret", SOURCE) == (False, 0)
    assert hashed == []
    assert (await authentication.verify("alice", "s3cret", "192.0.2.2"))[0]


async def test_who_is_banned_meanwhile_learns_nothing(authentication, users, bans, hashed):
    """Guesses that are under way when the ban comes are told no, right or wrong."""
    await users.add("alice", "s3cret")
    right = asyncio.create_task(authentication.verify("alice", "s3cret", SOURCE))
    await asyncio.sleep(0)
    await bans.add(SOURCE, seconds=60)
    assert await right == (False, 0)


async def test_who_failed_often_waits_and_only_so_many_may(authentication, users, bans, hashed, monkeypatch):
    monkeypatch.setattr(module, "MOST_SLOWED", 2)
    await users.add("alice", "s3cret")
    await users.add("bob", "s3cret")
    for _ in range(4):
        bans.failed(SOURCE, "x")
    slowed = [asyncio.create_task(authentication.verify("alice", "s3cret", SOURCE)) for _ in range(2)]
    await asyncio.sleep(0)
    assert await authentication.verify("alice", "s3cret", SOURCE) == (False, 0)
    assert hashed == []
    assert (await authentication.verify("bob", "s3cret", "192.0.2.2"))[0], "nobody else waits"
    assert [accepted for accepted, _ in await asyncio.gather(*slowed)] == [True, True]


@pytest.fixture
def held(monkeypatch):
    """Verifications last until they are released; the passwords are kept in the order in which their turn came."""
    order, gate = [], threading.Event()

    def verify(password_hash, password):
        order.append(password)
        assert gate.wait(10)
        return password == "s3cret"

    monkeypatch.setattr(module, "verify_password", verify)
    order_and_gate = (order, gate)
    yield order_and_gate
    gate.set()


def waiting(authentication):
    return len(authentication._turns._waiting)


async def test_a_storm_queues_behind_everybody_else(authentication, users, bans, held):
    """It gets one thread; the other one is for whom nothing is held against."""
    order, gate = held
    for name in ("alice", "bob", "carol"):
        await users.add(name, "s3cret")
    for number in range(10):
        bans.failed(f"198.51.100.{number}", f"name{number}")
    storm = [
        asyncio.create_task(authentication.verify(f"name{number}", "guess", f"198.51.100.{number}"))
        for number in range(10)
    ]
    await until(lambda: order == ["guess"] and waiting(authentication) == 9)
    alice = asyncio.create_task(authentication.verify("alice", "alices", "192.0.2.1"))
    await until(lambda: order == ["guess", "alices"])
    bans.succeeded("192.0.2.3", "carol")
    carol = asyncio.create_task(authentication.verify("carol", "carols", "192.0.2.3"))
    await until(lambda: waiting(authentication) == 10)
    bob = asyncio.create_task(authentication.verify("bob", "bobs", "192.0.2.2"))
    await until(lambda: waiting(authentication) == 11)
    gate.set()
    await asyncio.gather(alice, bob, carol, *storm)
    assert order[:4] == ["guess", "alices", "carols", "bobs"], "carol is known where she is"


async def test_when_too_many_wait_it_is_not_the_newcomer_who_is_sent_away(
    authentication, users, bans, held, monkeypatch
):
    monkeypatch.setattr(authentication._turns, "_most", 3)
    _, gate = held
    await users.add("bob", "s3cret")
    bans.failed(SOURCE, "x")
    storm = [asyncio.create_task(authentication.verify("x", f"guess{number}", SOURCE)) for number in range(20)]
    await until(lambda: sum(task.done() for task in storm) == 20 - 1 - 3)
    assert all(task.result() == (False, 0) for task in storm if task.done())
    bob = asyncio.create_task(authentication.verify("bob", "s3cret", "192.0.2.2"))
    await until(lambda: waiting(authentication) == 3)
    gate.set()
    assert (await bob)[0]
    await asyncio.gather(*storm)
    assert bans.failures("source", SOURCE) < 10, "who was sent away has not failed"


async def test_who_was_sent_away_goes_first_the_next_time(authentication, users, held, monkeypatch):
    """The storm uses another name and another address each time, so that nothing is held against any."""
    monkeypatch.setattr(authentication._turns, "_most", 2)
    order, gate = held
    await users.add("bob", "s3cret")

    def guess(number):
        return asyncio.create_task(authentication.verify(f"n{number}", "guess", f"198.51.100.{number}"))

    storm = [guess(number) for number in range(THREADS)]
    await until(lambda: len(order) == THREADS)
    storm += [guess(10), guess(11)]
    await until(lambda: waiting(authentication) == 2)
    assert await authentication.verify("bob", "s3cret", "192.0.2.2") == (False, 0)
    again = asyncio.create_task(authentication.verify("bob", "s3cret", "192.0.2.2"))
    await until(lambda: sum(task.done() for task in storm) == 1)
    for number in range(20, 25):
        assert await guess(number) == (False, 0)
    gate.set()
    assert (await again)[0]
    await asyncio.gather(*storm)
    assert order[THREADS] == "s3cret"


async def test_a_shared_question_stands_as_its_best_asker(authentication, users, bans, held):
    order, gate = held
    await users.add("alice", "s3cret")
    for _ in range(2):
        bans.failed(SOURCE, "x")
    storm = [asyncio.create_task(authentication.verify("x", f"guess{number}", SOURCE)) for number in range(5)]
    shared = [asyncio.create_task(authentication.verify("alice", "s3cret", SOURCE))]
    await until(lambda: waiting(authentication) == 5)
    shared.append(asyncio.create_task(authentication.verify("alice", "s3cret", "192.0.2.9")))
    await until(lambda: any(ticket.standing[0] == 1 for ticket in authentication._turns._waiting))
    gate.set()
    assert all(accepted for accepted, _ in await asyncio.gather(*shared))
    await asyncio.gather(*storm)
    assert order[1] == "s3cret"
    assert order.count("s3cret") == 1


async def test_who_still_waits_at_the_end_waits_no_more(authentication, users, held):
    order, gate = held
    questions = [asyncio.create_task(authentication.verify(f"n{number}", "x", SOURCE)) for number in range(5)]
    await until(lambda: len(order) == 1 and waiting(authentication) == 5 - 1)
    authentication.close()
    gate.set()
    done = await asyncio.gather(*questions, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in done)


async def test_the_threads_stand_back(authentication, users, monkeypatch):
    priorities = []

    def verify(password_hash, password):
        priorities.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return True

    monkeypatch.setattr(module, "verify_password", verify)
    await authentication.verify("alice", "x", SOURCE)
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert priorities == [min(ours + NICENESS, 19)]
