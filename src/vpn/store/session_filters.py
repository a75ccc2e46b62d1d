"""The conditions of a search for sessions, in SQL, and which of them an index helps with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import text

from vpn.domain.session_query import SessionQuery

MOST_TERMS = 100
"""Where a text is part of more names than this, the names are not looked up one by one."""


class Filter(NamedTuple):
    """One condition."""

    sql: str
    """With `{plus}` before each column: what there keeps SQLite from using an index."""
    indexed: bool = True
    ordered: bool = True
    """Whether an index yields what it finds in the order of `id`."""


class Filters(NamedTuple):
    """All conditions of a search, and the values in them."""

    conditions: list[Filter]
    values: Mapping[str, Any]


def filters_of(query: SessionQuery) -> Filters:
    """The conditions of a query, but for time, order and text."""
    found: list[Filter] = []
    values: dict[str, Any] = {}
    if query.name:
        found.append(Filter("{plus}host IN (:name, :lower_name)", ordered=False))
        values |= {"name": query.name, "lower_name": query.name.lower()}
    if query.addresses is not None and query.addresses.first == query.addresses.last:
        found.append(Filter("{plus}address_key = :address"))
        values["address"] = query.addresses.first
    elif query.addresses is not None:
        between = "({plus}address_key BETWEEN :lowest AND :highest AND length(address_key) = :size)"
        found.append(Filter(between, ordered=False))
        first, last = query.addresses
        values |= {"lowest": first, "highest": last, "size": len(first)}
    if query.user:
        found.append(Filter('{plus}"user" = :user'))
        values["user"] = query.user
    if query.status == "closed":
        found.append(Filter("status = 'closed'", indexed=False))
    elif query.status:
        # The second condition is that of the index.
        found.append(Filter("({plus}status = :status AND {plus}status <> 'closed')"))
        values["status"] = query.status
    if query.inbound:
        found.append(Filter("{plus}inbound = :inbound"))
        values["inbound"] = query.inbound
    return Filters(found, values)


def pattern_of(part: str) -> str:
    """What a column is LIKE (ESCAPE '!') that has the text in it."""
    for special in "!%_":
        part = part.replace(special, f"!{special}")
    return f"%{part}%"


def text_filter(*, is_sqlite: bool) -> Filter:
    """Sessions with the value `pattern` in the user's name or the destination."""
    likes = (_like(column, is_sqlite=is_sqlite) for column in ('"user"', "host"))
    return Filter(f"({' OR '.join(likes)})", indexed=False)


def terms_like(pattern: str, *, is_sqlite: bool) -> Any:
    """The statement that finds terms that are like this, as kind and term; one more than `MOST_TERMS` will do."""
    like = _like("term", is_sqlite=is_sqlite)
    statement = f"SELECT kind, term FROM session_terms WHERE {like} LIMIT {MOST_TERMS + 1}"
    return text(statement).bindparams(pattern=pattern)


def terms_filter(terms: list[tuple[str, str]]) -> tuple[Filter, dict[str, str]]:
    """Sessions of one of these users or to one of these destinations, and the values."""
    values = {f"term{number}": term for number, (_, term) in enumerate(terms)}
    parts = []
    for kind, column in (("user", '"user"'), ("host", "host")):
        names = [f":term{number}" for number, (each, _) in enumerate(terms) if each == kind]
        if names:
            parts.append(f"{{plus}}{column} IN ({', '.join(names)})")
    return Filter(f"({' OR '.join(parts) or '1 = 0'})", ordered=False), values


def _like(column: str, *, is_sqlite: bool) -> str:
    """A column is like `pattern`, whatever the case of ASCII letters."""
    # In another collation than C, PostgreSQL takes several times as long.
    like = "LIKE" if is_sqlite else 'COLLATE "C" ILIKE'
    return f"{column} {like} :pattern ESCAPE '!'"
