"""Sessions as rows: many at once, as cheaply as the databases take them.

Twenty thousand in a second leave some microseconds for each, so the drivers are given rows as they are: SQLite
hundreds in a statement, whose work is then done without the interpreter's lock, and PostgreSQL a binary COPY.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

from sqlalchemy import BigInteger, Double, Integer, LargeBinary, MetaData, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from vpn.domain.address import pack
from vpn.domain.session import Session
from vpn.store.tables import session_table

_STEP = 250  # rows in a statement of SQLite, which takes 32,766 values at most; prepared, it is a megabyte
_PAUSE = 500  # rows after which others have a turn
_COPY_TYPES = ((LargeBinary, "bytea"), (BigInteger, "int8"), (Integer, "int4"), (Double, "float8"))

Row = tuple[Any, ...]


def _columns() -> list[str]:
    return [column.name for column in session_table("any", MetaData()).columns]


COLUMNS = tuple(_columns())
LISTED = ", ".join(f'"{name}"' for name in COLUMNS)
"""The columns as SQL lists them."""
FIELDS = COLUMNS[:-2]
"""Fields of a session that are kept as they are; `duration` and `address_key` follow."""

_fields_of = attrgetter(*FIELDS)


def row_of(session: Session) -> Row:
    """A session as a row of `COLUMNS`."""
    duration = session.ended - session.started if session.ended > session.started else 0.0
    fields: Row = _fields_of(session)
    return (*fields, duration, pack(session.address or session.host))


def session_of(row: Sequence[Any]) -> Session:
    """A session from a row of `COLUMNS`."""
    return Session(**dict(zip(FIELDS, row, strict=False)))


def clean(session: Session) -> None:
    """Take out what a database may not take: NULs, and halves of characters."""
    for name in FIELDS:
        value = getattr(session, name)
        if isinstance(value, str):
            setattr(session, name, value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode())


class RowWriter:
    """Inserts rows.

    Args:
        is_sqlite: of which database the connections are.
    """

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        self._one = f"({', '.join('?' * len(COLUMNS))})"
        types = session_table("any", MetaData()).columns
        self._types = [next((name for kind, name in _COPY_TYPES if isinstance(c.type, kind)), "text") for c in types]

    async def insert(self, connection: AsyncConnection, table: str, sessions: Sequence[Session]) -> None:
        """Insert sessions that the table does not have.

        Raises:
            DBAPIError: it has one of them (IntegrityError), or cannot take a value (DataError).
        """
        if not sessions:
            return
        if self._is_sqlite:
            await self._insert_many(connection, table, sessions)
        else:
            await self._copy(connection, table, sessions)

    async def _insert_many(self, connection: AsyncConnection, table: str, sessions: Sequence[Session]) -> None:
        head = f"INSERT INTO {table} ({LISTED}) VALUES "
        whole = len(sessions) - len(sessions) % _STEP
        many = head + ", ".join([self._one] * _STEP)
        for start in range(0, whole, _STEP):
            rows = map(row_of, sessions[start : start + _STEP])
            await connection.exec_driver_sql(many, tuple(chain.from_iterable(rows)))
        if whole < len(sessions):
            await connection.exec_driver_sql(head + self._one, list(map(row_of, sessions[whole:])))

    async def _copy(self, connection: AsyncConnection, table: str, sessions: Iterable[Session]) -> None:
        import psycopg  # SQLite's users need not have it in memory

        driver: Any = (await connection.get_raw_connection()).driver_connection
        statement = f"COPY {table} ({LISTED}) FROM STDIN (FORMAT BINARY)"
        try:
            async with driver.cursor() as cursor, cursor.copy(statement) as copy:
                copy.set_types(self._types)
                for number, session in enumerate(sessions):
                    if number % _PAUSE == _PAUSE - 1:
                        await asyncio.sleep(0)
                    await copy.write_row(row_of(session))
        except psycopg.Error as error:
            raise DBAPIError.instance(statement, None, error, psycopg.Error) from error


def table_named(name: str) -> Table:
    """A table of sessions for statements that SQLAlchemy writes."""
    return session_table(name, MetaData())
