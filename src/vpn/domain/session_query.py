"""What is asked of the history of sessions: read, checked, and put into an order to go on from."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from vpn.domain.address import pack
from vpn.domain.errors import Invalid
from vpn.domain.network import parse_network
from vpn.domain.session import LARGEST_ID, Session, first_id

LARGEST_PAGE = 1000  # sessions
DEEPEST = 10_000
"""Sessions that pages reach, counted from the first; and how far a total is counted."""
LONGEST_TEXT = 255  # characters

STATUSES = ("active", "closed", "failed", "rejected_by_acl")
SORTS: Mapping[str, str] = {
    "start_time": "id",
    "duration_seconds": "duration",
    "bytes_sent": "bytes_sent",
    "bytes_received": "bytes_received",
}
"""What sessions can be sorted by, and the columns that it is in."""


class AddressRange(NamedTuple):
    """Packed addresses from the first to the last, all of one length."""

    first: bytes
    last: bytes


class Position(NamedTuple):
    """Where a session stands in an order; what comes next comes after it."""

    key: float
    """What is sorted by; with start_time the number itself."""
    id: int


class Page(NamedTuple):
    """Sessions that were found."""

    sessions: list[Session]
    total: int | None
    """How many there are; None: not counted, since it was gone on from a position."""
    exact: bool
    """Whether there are not more than `total`."""
    next: Position | None
    """From where to go on; None: there is nothing more."""


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions, in which order, and how many; what is empty or None does not matter."""

    user: str = ""
    name: str = ""
    """A destination as it was asked for, that is no address."""
    addresses: AddressRange | None = None
    """Destinations by their address."""
    status: str = ""
    inbound: str = ""
    first: int = 0
    """The least identifier; they are in the order of time."""
    last: int = LARGEST_ID
    text: str = ""
    """Part of the user's name or of the destination that was asked for; case does not matter."""
    sort: str = "start_time"
    descending: bool = True
    limit: int = 50
    offset: int = 0
    after: Position | None = None

    @property
    def column(self) -> str:
        """The column that is sorted by; ties are in the order of `id`."""
        return SORTS[self.sort]

    @property
    def filters(self) -> bool:
        """Whether anything but time is asked for."""
        return bool(self.user or self.name or self.addresses or self.status or self.inbound or self.text)


class SessionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A query as people and programs write it."""

    user: str = ""
    destination: str = ""
    """An address, a network such as 10.0.0.0/8, or a name."""
    status: str = ""
    inbound: str = ""
    hours: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    sort_by: str = "start_time"
    sort_dir: str = "desc"
    page: int = 1
    page_size: int = 50
    cursor: str = ""


def parse_query(request: SessionRequest, now: float) -> SessionQuery:
    """Check a request; `now` in seconds since the epoch.

    Raises:
        Invalid: a value makes no sense, or the page is too deep.
    """
    if request.status and request.status not in STATUSES:
        raise Invalid("bad_status", f"{request.status!r} is not a status", f"it is one of: {', '.join(STATUSES)}")
    if request.sort_by not in SORTS:
        raise Invalid(
            "bad_sort", f"sessions cannot be sorted by {request.sort_by!r}", f"sort by one of: {', '.join(SORTS)}"
        )
    if request.sort_dir.lower() not in ("asc", "desc"):
        raise Invalid("bad_sort", f"{request.sort_dir!r} is not a direction", "it is asc or desc")
    if not 1 <= request.page_size <= LARGEST_PAGE or request.page < 1:
        raise Invalid("bad_page", "there is no such page", f"pages begin with 1, and have 1 to {LARGEST_PAGE} sessions")
    if request.cursor and request.page != 1:
        raise Invalid("bad_page", "a page and a cursor exclude each other", "go on with the cursor alone")
    if request.page * request.page_size > DEEPEST:
        raise Invalid(
            "page_too_deep",
            f"pages reach no further than {DEEPEST} sessions",
            "go on with the next_cursor of the page before, or narrow the time",
        )
    for text in (request.user, request.inbound, request.text, request.destination):
        if len(text) > LONGEST_TEXT or "\0" in text:
            raise Invalid("bad_filter", "a filter is too long, or has a NUL", f"write up to {LONGEST_TEXT} characters")
    first, last = _span(request, now)
    name, addresses = _destination(request.destination)
    descending = request.sort_dir.lower() == "desc"
    return SessionQuery(
        user=request.user,
        name=name,
        addresses=addresses,
        status=request.status,
        inbound=request.inbound,
        first=first,
        last=last,
        text=request.text,
        sort=request.sort_by,
        descending=descending,
        limit=request.page_size,
        offset=(request.page - 1) * request.page_size,
        after=parse_cursor(request.cursor, request.sort_by, descending) if request.cursor else None,
    )


def show_cursor(position: Position, sort: str, descending: bool) -> str:
    """Where to go on, as a word that means nothing to others."""
    direction = "desc" if descending else "asc"
    return base64.urlsafe_b64encode(f"{sort} {direction} {position.key!r} {position.id}".encode()).decode().rstrip("=")


def parse_cursor(cursor: str, sort: str, descending: bool) -> Position:
    """A position from its word.

    Raises:
        Invalid: it is none, or one of another order.
    """
    trouble = Invalid(
        "bad_cursor", "the cursor is not one of this order", "take next_cursor as it was, with the same sort_by"
    )
    try:
        if len(cursor) > LONGEST_TEXT:
            raise trouble
        parts = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(" ")
        if len(parts) != 4 or parts[:2] != [sort, "desc" if descending else "asc"]:
            raise trouble
        key = float(parts[2]) if sort == "duration_seconds" else int(parts[2])
        number = int(parts[3])
    except (binascii.Error, ValueError):  # ValueError: also what is no ASCII, here or there
        raise trouble from None
    if not (0 <= key <= LARGEST_ID and 0 <= number <= LARGEST_ID):
        raise trouble
    return Position(key, number)


def _span(request: SessionRequest, now: float) -> tuple[int, int]:
    if request.hours is not None and not 0 < request.hours <= 24 * 36_600:
        raise Invalid("bad_hours", "hours is not a number of hours", "write it as 24, or 0.5")
    for moment in (request.since, request.until):
        if moment is not None and moment.tzinfo is None:
            raise Invalid("bad_moment", f"{moment} has no time zone", "add one, as in 2026-12-31T18:00:00Z")
    begins = [now - request.hours * 3600] if request.hours is not None else []
    if request.since is not None:
        begins.append(request.since.timestamp())
    first = first_id(max(begins)) if begins else 0
    last = first_id(request.until.timestamp()) - 1 if request.until is not None else LARGEST_ID
    return first, last


def _destination(text: str) -> tuple[str, AddressRange | None]:
    if not text:
        return "", None
    packed = pack(text)
    if packed is not None:
        return "", AddressRange(packed, packed)
    if "/" not in text:
        return text, None
    network = parse_network(text)
    first = network.prefix << network.shift
    size = network.bits // 8
    return "", AddressRange(first.to_bytes(size, "big"), (first | (1 << network.shift) - 1).to_bytes(size, "big"))
