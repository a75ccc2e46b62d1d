"""The statements that write sums: made of constants only, and written out, since they are run for thousands of rows."""

# ruff: noqa: S608 -- nothing from outside is put into them

from __future__ import annotations

from sqlalchemy import text

from vpn.domain.rollups import KINDS, OTHERS, Sums
from vpn.store.tables import rollups

_COLUMNS = [column.name for column in rollups.columns]
_TYPES = ("text", "text", "bigint", "text", *["bigint"] * len(Sums._fields))
_ADDED = ", ".join(f"{name} = rollups.{name} + excluded.{name}" for name in Sums._fields)
_TOTALS = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in Sums._fields)
_INTO = f"INSERT INTO rollups ({', '.join(_COLUMNS)})"
_ADD = f"ON CONFLICT (kind, span, start, key) DO UPDATE SET {_ADDED}"
_KINDS = ", ".join(f"'{kind}'" for kind in KINDS)  # named, so that the index is of use
_OF_SPAN = "kind = :kind AND span = :span AND start = :start"
# Those lighter than the heaviest `most`; how heavy one is, vpn.domain.rollups.weight says.
_LIGHT = f"""{_OF_SPAN} AND key IN (
  SELECT key FROM rollups WHERE {_OF_SPAN} AND key <> '{OTHERS}'
  ORDER BY bytes_sent + bytes_received + 10000 * (closed + failed + rejected) DESC, key LIMIT 1000000 OFFSET :most)"""

PUT_SQLITE = f"{_INTO} VALUES ({', '.join('?' * len(_COLUMNS))}) {_ADD}"
"""Add to rows, one tuple each."""
PUT_POSTGRESQL = f"{_INTO} SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in _TYPES)}) {_ADD}"
"""Add to rows, one list for each column."""
FOLD = text(f"""{_INTO} SELECT kind, :into, :start, key, {_TOTALS} FROM rollups
  WHERE kind IN ({_KINDS}) AND span = 'hour' AND start >= :first AND start < :end GROUP BY kind, key {_ADD}""")
"""Add hours to one span."""
OLDEST = text("SELECT MIN(start) FROM rollups WHERE kind = :kind AND span = :span AND start >= :since")
COUNT = text(f"SELECT COUNT(*) FROM rollups WHERE {_OF_SPAN}")
KEYS = text(f"SELECT key FROM rollups WHERE {_OF_SPAN}")
DELETE = text(f"DELETE FROM rollups WHERE {_OF_SPAN}")
LUMP = text(f"""{_INTO} SELECT kind, span, start, '{OTHERS}', {_TOTALS} FROM rollups
  WHERE {_LIGHT} GROUP BY kind, span, start {_ADD}""")
"""Add all but the heaviest to the others."""
DELETE_LIGHT = text(f"DELETE FROM rollups WHERE {_LIGHT}")
"""Remove these then."""
