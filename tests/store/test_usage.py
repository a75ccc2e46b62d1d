from datetime import UTC, date, datetime, timedelta

import pytest

from vpn.domain.errors import Unavailable
from vpn.store.usage import Counted, Day, Quota, UsageStore

pytestmark = pytest.mark.anyio
MONDAY, TUESDAY = date(2026, 11, 16), date(2026, 11, 17)
HOUR = datetime(2026, 11, 16, 10, tzinfo=UTC)


@pytest.fixture
def store(database):
    return UsageStore(database)


def counted(user, up, down, day=MONDAY, hour=HOUR):
    return Counted(user, up, down, day, hour)


async def test_what_is_new_is_booked_and_nothing_twice(store):
    await store.book(1, [counted(7, 10, 100), counted(8, 1, 2)])
    await store.book(1, [counted(7, 10, 100)])
    await store.book(1, [counted(7, 15, 100)])
    assert await store.days(7, MONDAY) == [Day(MONDAY, 15, 100)]
    assert await store.since([(7, MONDAY), (8, MONDAY), (9, MONDAY)]) == {7: 115, 8: 3}


async def test_another_meter_begins_with_nothing(store):
    await store.book(1, [counted(7, 10, 0)])
    await store.book(2, [counted(7, 4, 0)])
    await store.close_meter(1)
    await store.book(2, [counted(7, 6, 0)])
    assert await store.since([(7, MONDAY)]) == {7: 16}


async def test_days_are_kept_apart(store):
    await store.book(1, [counted(7, 10, 0)])
    await store.book(1, [counted(7, 12, 3, TUESDAY)])
    assert await store.days(7, MONDAY) == [Day(MONDAY, 10, 0), Day(TUESDAY, 2, 3)]
    assert await store.days(7, TUESDAY) == [Day(TUESDAY, 2, 3)]
    assert await store.since([(7, TUESDAY)]) == {7: 5}


async def test_hours_are_counted_from_their_start(store):
    await store.book(1, [counted(7, 10, 0)])
    await store.book(1, [counted(7, 15, 0)])
    assert (await store.quotas())[7] == Quota(hour=HOUR, hour_bytes=15)
    await store.book(1, [counted(7, 17, 1, hour=HOUR + timedelta(hours=1))])
    assert (await store.quotas())[7] == Quota(hour=HOUR + timedelta(hours=1), hour_bytes=3)


async def test_a_quota_is_set_and_booking_leaves_it_as_it_is(store):
    quota = Quota(HOUR, 5, TUESDAY, 9, HOUR, 80)
    await store.set_quota(7, quota)
    await store.book(1, [counted(7, 10, 0)])
    assert await store.quotas() == {7: Quota(HOUR, 15, TUESDAY, 9, HOUR, 80)}
    await store.set_quota(7, Quota())
    assert await store.quotas() == {7: Quota()}


async def test_warnings_are_noted_and_leave_the_rest_as_it_is(store):
    await store.book(1, [counted(7, 10, 0)])
    await store.note_warnings({7: (HOUR, 80), 8: (HOUR, 95)})
    assert await store.quotas() == {7: Quota(HOUR, 10, warned_at=HOUR, warned=80), 8: Quota(warned_at=HOUR, warned=95)}


async def test_many_users_at_once_and_large_numbers(store):
    many = [counted(user, 2**60, user) for user in range(1, 1201)]
    await store.book(2**62, many)
    await store.book(2**62, many)
    moved = await store.since((user, MONDAY) for user in range(1, 1201))
    assert moved == {user: 2**60 + user for user in range(1, 1201)}
    assert await store.known() == set(moved)


async def test_who_is_gone_is_forgotten(store):
    await store.book(1, [counted(7, 10, 0), counted(8, 10, 0)])
    await store.forget([7])
    assert (await store.known(), set(await store.quotas())) == ({8}, {8})
    await store.book(1, [counted(7, 10, 0)])
    assert await store.since([(7, MONDAY)]) == {7: 10}


async def test_a_booking_that_fails_leaves_no_half(store):
    too_much = [counted(user, 10, 0) for user in range(1, 600)] + [counted(600, 2**70, 0)]
    with pytest.raises((Unavailable, OverflowError)):  # each database has its own word for it
        await store.book(1, too_much)
    assert await store.known() == set()
