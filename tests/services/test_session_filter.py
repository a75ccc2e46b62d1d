from typing import get_args

import pytest

from vpn.domain.errors import Invalid
from vpn.domain.session import Session
from vpn.services.session_filter import ALL, LiveSession, SortColumn, in_order, session_filter
from vpn.services.traffic import NO_RATE, Rate

SESSION = Session(
    7,
    "main",
    "192.0.2.9",
    4711,
    5.0,
    protocol="socks5",
    user="Alice",
    host="www.Example.com",
    port=443,
    address="198.51.100.7",
    bytes_sent=10,
    bytes_received=20,
    server_name="inner.test",
)


@pytest.mark.parametrize(
    ("fields", "meant"),
    [
        ({}, True),
        ({"user": "aLICE"}, True),
        ({"user": "alic"}, False),
        ({"destination": "*.example.com"}, True),
        ({"destination": "198.51.100.0/24:443"}, True),
        ({"destination": "198.51.100.0/24:80"}, False),
        ({"inbound": "main", "protocol": "socks5"}, True),
        ({"inbound": "other"}, False),
        ({"protocol": "http"}, False),
        ({"text": "EXAMPLE"}, True),
        ({"text": "inner"}, True),
        ({"text": "192.0.2."}, True),
        ({"text": "nothing"}, False),
        ({"min_bytes": 30}, True),
        ({"min_bytes": 31}, False),
        ({"user": "alice", "destination": "other.test"}, False),
    ],
)
def test_all_that_is_said_has_to_be_true(fields, meant):
    assert session_filter(**fields).matches(SESSION) is meant


def test_a_destination_has_to_be_a_pattern():
    with pytest.raises(Invalid):
        session_filter(destination="a//b")


def test_all_means_all():
    assert session_filter() == ALL


def live(number, rate=NO_RATE, **fields):
    return LiveSession(Session(number, "main", "192.0.2.1", 1, float(number), **fields), rate)


@pytest.mark.parametrize("column", get_args(SortColumn))
def test_there_is_an_order_by_every_column(column):
    assert len(in_order([live(1), live(2)], column, descending=True)) == 2


def numbers(found):
    return [each.session.id for each in found]


def test_the_order_is_by_the_column_then_by_age():
    some = [live(1, user="b"), live(2, user="A"), live(3, user="b"), live(4, Rate(1, 2), user="c")]
    assert numbers(in_order(some, "user", descending=False)) == [2, 3, 1, 4]
    assert numbers(in_order(some, "user", descending=True)) == [4, 3, 1, 2]
    assert numbers(in_order(some, "rate", descending=True)) == [4, 3, 2, 1]
    assert numbers(in_order(some, "duration_seconds", descending=True)) == [1, 2, 3, 4]
