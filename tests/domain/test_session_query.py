from datetime import UTC, datetime

import pytest

from vpn.domain.errors import Invalid
from vpn.domain.session import LARGEST_ID, first_id
from vpn.domain.session_query import (
    SORTS,
    AddressRange,
    Position,
    SessionQuery,
    SessionRequest,
    parse_cursor,
    parse_query,
    show_cursor,
)

NOW = 1_790_000_000.0


def parse(**fields):
    return parse_query(SessionRequest(**fields), NOW)


def test_nothing_said_is_the_newest():
    assert parse() == SessionQuery()
    assert not parse(hours=1, page_size=7).filters


@pytest.mark.parametrize(
    ("text", "name", "addresses"),
    [
        ("Example.com", "Example.com", None),
        ("192.0.2.1", "", AddressRange(b"\xc0\0\2\1", b"\xc0\0\2\1")),
        ("10.0.0.0/8", "", AddressRange(b"\x0a\0\0\0", b"\x0a\xff\xff\xff")),
        ("2001:db8::/32", "", AddressRange(bytes.fromhex("20010db8") + bytes(12), b" \1\r\xb8" + b"\xff" * 12)),
        ("0.0.0.0/0", "", AddressRange(bytes(4), b"\xff" * 4)),
    ],
)
def test_a_destination_is_a_name_an_address_or_a_network(text, name, addresses):
    query = parse(destination=text)
    assert (query.name, query.addresses) == (name, addresses)
    assert query.filters


def test_time_is_a_range_of_identifiers():
    query = parse(hours=2, until=datetime.fromtimestamp(NOW, UTC))
    assert (query.first, query.last) == (first_id(NOW - 7200), first_id(NOW) - 1)
    assert parse(since=datetime.fromtimestamp(NOW - 60, UTC)).first == first_id(NOW - 60)
    # Where both are said, both hold.
    assert parse(hours=2, since=datetime.fromtimestamp(NOW - 60, UTC)).first == first_id(NOW - 60)
    assert parse().last == LARGEST_ID


def test_pages_are_places_in_the_order():
    query = parse(page=3, page_size=20, sort_by="bytes_sent", sort_dir="ASC")
    assert (query.offset, query.limit, query.sort, query.descending) == (40, 20, "bytes_sent", False)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("bad_status", {"status": "open"}),
        ("bad_sort", {"sort_by": "user"}),
        ("bad_sort", {"sort_dir": "up"}),
        ("bad_page", {"page_size": 0}),
        ("bad_page", {"page_size": 1001}),
        ("bad_page", {"page": 2, "cursor": "x"}),
        ("page_too_deep", {"page": 11, "page_size": 1000}),
        ("bad_filter", {"user": "u" * 256}),
        ("bad_filter", {"text": "a\0"}),
        ("bad_hours", {"hours": 0}),
        ("bad_hours", {"hours": float("nan")}),
        ("bad_moment", {"since": datetime(2026, 1, 1)}),
        ("bad_network", {"destination": "10.0.0.1/8"}),
        ("bad_cursor", {"cursor": "x"}),
    ],
)
def test_what_makes_no_sense_is_refused(code, fields):
    with pytest.raises(Invalid) as trouble:
        parse(**fields)
    assert trouble.value.code == code


@pytest.mark.parametrize("sort", sorted(SORTS))
@pytest.mark.parametrize("descending", [True, False])
def test_a_cursor_leads_back_to_its_position(sort, descending):
    position = Position(0.1 + 0.2 if sort == "duration_seconds" else 2**53 + 1, 2**62 + 1)
    cursor = show_cursor(position, sort, descending)
    assert parse_cursor(cursor, sort, descending) == position
    with pytest.raises(Invalid):
        parse_cursor(cursor, sort, not descending)


@pytest.mark.parametrize("text", ["start_time desc 1 -1", "start_time desc x 1", "start_time desc 1 1 1", "é", ""])
def test_what_is_no_cursor_is_refused(text):
    import base64

    with pytest.raises(Invalid):
        parse_cursor(base64.urlsafe_b64encode(text.encode()).decode(), "start_time", True)
    with pytest.raises(Invalid):
        parse_cursor("é" + text, "start_time", True)
