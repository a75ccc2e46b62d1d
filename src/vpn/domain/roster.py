"""Rows of users, as files and other programs bring them, and as they are written for them.

A row is a mapping: ``name``, and what else is to be said of the user. The cells of a table are all texts, so lists
and truth may be written as texts too.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from vpn.domain.errors import Conflict, Invalid
from vpn.domain.group import check_groups
from vpn.domain.limit_values import change_limits, split
from vpn.domain.limits import NO_LIMITS
from vpn.domain.password import check_password_hash
from vpn.domain.user import User, canonical, check_name, check_note, check_password
from vpn.domain.user_changes import UserFields

MOST_ROWS = 10_000  # of one import
MOST_PROBLEMS = 100  # that are told of
OnConflict = Literal["fail", "skip", "update"]
"""What becomes of a row whose name a user bears already."""

_YES = ("yes", "true", "1", "on")
_NO = ("no", "false", "0", "off")


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row that is well-formed; None: nothing is said."""

    row: int = 0
    """By what the row is named when something is wrong with it, e.g. its line."""
    name: str
    password: str | None = None
    password_hash: str | None = None
    note: str | None = None
    enabled: bool | str | None = None
    groups: list[str] | str | None = None
    limits: dict[str, Any] | None = None
    first_used_at: datetime | None = None

    def fields(self) -> UserFields:
        """What is to be changed of a user, old or new."""
        fields: UserFields = {}
        if self.note is not None:
            fields["note"] = self.note
        if self.enabled is not None:
            fields["enabled"] = _truth(self.enabled)
        if self.groups is not None:
            fields["groups"] = split(self.groups) if isinstance(self.groups, str) else self.groups
        if self.limits is not None:
            fields["limits"] = self.limits
        return fields


class Problems:
    """What is wrong with rows, until it is too much."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._conflicts = 0

    def add(self, row: int, error: Invalid | Conflict) -> None:
        """One more."""
        self._found.append(f"row {row}: {error.message}; {error.hint}")
        self._conflicts += isinstance(error, Conflict)

    @property
    def enough(self) -> bool:
        """Whether more need not be looked for."""
        return len(self._found) >= MOST_PROBLEMS

    def finish(self) -> None:
        """Tell of all that was found.

        Raises:
            Conflict: only that names are taken.
            Invalid: anything else.
        """
        if not self._found:
            return
        count = f"{'at least ' if self.enough else ''}{len(self._found)} problem{'s' if len(self._found) > 1 else ''}"
        message = "\n".join([f"nothing was imported, because of {count}:", *self._found])
        if self._conflicts == len(self._found):
            raise Conflict("users_exist", message, "leave them out, or say what becomes of them: skip or update")
        raise Invalid("bad_rows", message, "mend these rows and import all again")


def read_rows(rows: Sequence[Any], groups: Container[str], now: datetime) -> list[Row]:
    """Well-formed rows, in which no name is there twice and no value is bad.

    Args:
        groups: that there are, in the form under which names are compared.

    Raises:
        Invalid: there are too many; or what is wrong with up to `MOST_PROBLEMS` of them.
    """
    if len(rows) > MOST_ROWS:
        raise Invalid("too_many_rows", f"there are {len(rows)} rows", f"import at most {MOST_ROWS} at a time")
    problems = Problems()
    read: list[Row] = []
    seen: set[str] = set()
    for place, raw in enumerate(rows, 1):
        number = raw.get("row") if isinstance(raw, dict) else None
        number = number if isinstance(number, int) and 0 < number < 2**31 else place
        try:
            row = _read(raw, number)
            if canonical(row.name) in seen:
                raise Invalid("bad_row", f"the name {row.name} is in another row too", "name each user once")
            seen.add(canonical(row.name))
            read.append(_checked(row, groups, now))
        except Invalid as error:
            problems.add(number, error)
            if problems.enough:
                break
    problems.finish()
    return read


def write_row(user: User, *, with_hash: bool) -> dict[str, Any]:
    """A user as a row that can be imported: what is the user's own, and nothing inherited."""
    row: dict[str, Any] = {
        "name": user.name,
        "enabled": user.enabled,
        "note": user.note,
        "groups": list(user.groups),
        "limits": msgspec.to_builtins(user.limits),
    }
    if user.first_used_at is not None:
        row["first_used_at"] = msgspec.to_builtins(user.first_used_at)
    if with_hash:
        row["password_hash"] = user.password_hash
    return row


def _read(raw: Any, number: int) -> Row:
    try:
        row = msgspec.structs.replace(msgspec.convert(raw, Row), row=number)
    except (msgspec.ValidationError, UnicodeError) as error:
        raise Invalid("bad_row", _printable(str(error)), "see /docs for what a row may have") from None
    check_name(row.name)
    return row


def _checked(row: Row, groups: Container[str], now: datetime) -> Row:
    if row.password is not None and row.password_hash is not None:
        raise Invalid("bad_row", "there are both a password and a password_hash", "give one of them")
    if row.password is not None:
        check_password(row.password)
    if row.password_hash is not None:
        check_password_hash(row.password_hash)
    if row.first_used_at is not None and row.first_used_at.tzinfo is None:
        raise Invalid("bad_row", "first_used_at has no time zone", "add one, as in 2026-12-31T18:00:00Z")
    fields = row.fields()
    check_note(fields.get("note", ""))
    for name in check_groups(fields.get("groups", ())):
        if canonical(name) not in groups:
            raise Invalid("group_unknown", f"there is no group {name}", f"add it with: vpn groups add {name}")
    change_limits(NO_LIMITS, fields.get("limits", {}), now)
    if row.first_used_at is not None:
        row = msgspec.structs.replace(row, first_used_at=row.first_used_at.astimezone(UTC))
    return row


def _truth(value: bool | str) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower()
    if word not in _YES + _NO:
        raise Invalid("bad_row", f"enabled: {value[:64]!r} cannot be read", "write yes or no")
    return word in _YES


def _printable(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()[:300]
