"""Opening the database, and bringing its tables up to date."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import structlog
from sqlalchemy import URL, Connection, Engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from vpn.domain.errors import Invalid, Unavailable
from vpn.store.migrations import versions

_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "sqlite": "sqlite+aiosqlite",
}
_POSTGRESQL: dict[str, Any] = {
    # A server whose machine is gone says nothing more, and would be waited for a quarter of an hour.
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 15,  # seconds
    "keepalives_interval": 5,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
    "options": "-c jit=off",  # compiling statements takes longer than all of ours
}
"""What PostgreSQL's client is told, unless the URL says otherwise."""
_PREPARED = 24  # statements that a connection to SQLite keeps; those that insert sessions are large, and of one segment
_PATIENCE = 5.0  # seconds that who writes into SQLite waits for others
_SHOWN = 1000  # characters of a slow statement
_MIGRATION_LOCK = 0x76706E  # any number, the same for all daemons on one PostgreSQL


def sqlite_url(path: Path) -> URL:
    """The URL of a SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path))


class Database:
    """An engine with its connections. Close it, or its threads keep the process from ending.

    Args:
        url: ``sqlite:///path`` or ``postgresql://user:password@host/name``.
        slow: seconds from which on a statement is logged; 0: none is.

    Raises:
        Invalid: the URL is neither.
    """

    def __init__(self, url: str | URL, *, slow: float = 0) -> None:
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            parsed = None
        driver = _DRIVERS.get(parsed.drivername.partition("+")[0]) if parsed is not None else None
        if parsed is None or driver is None:
            raise Invalid(
                "bad_database_url",
                "database.url is not a URL of a database that we know",
                "write it as postgresql://user:password@host/name, or leave it empty for SQLite",
            )
        self.name = parsed.render_as_string(hide_password=True)
        self.is_sqlite = driver.startswith("sqlite")
        # Parameters are kept out of error messages: password hashes are among them.
        said = {name: value for name, value in _POSTGRESQL.items() if name not in parsed.query and not self.is_sqlite}
        self._engine = create_async_engine(
            parsed.set(drivername=driver),
            connect_args={"cached_statements": _PREPARED} if self.is_sqlite else said,
            pool_pre_ping=not self.is_sqlite,
            hide_parameters=True,
        )
        if self.is_sqlite:
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)
        if slow:
            _log_slow_queries(self._engine.sync_engine, slow)
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that is committed at the end, or rolled back on an exception.

        Raises:
            IntegrityError: what is written contradicts what is there.
            Unavailable: the database is out of reach, locked for too long, full, or damaged.
        """
        try:
            async with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeout) as error:
            raise self._explain(error) from error

    @asynccontextmanager
    async def begin_writing(self) -> AsyncIterator[AsyncConnection]:
        """As `begin`, for who writes: with SQLite, one after the other, in the order in which they came.

        With PostgreSQL, rows that are read first are to be locked (`with_for_update`, which SQLite has no need of).

        Raises:
            As `begin`.
        """
        if not self.is_sqlite:
            async with self.begin() as connection:
                yield connection
            return
        await self._take_turn()
        try:
            async with self.begin() as connection:
                # The driver would begin only at the first write, and fail if another one came first.
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
        finally:
            self._turn.release()

    @asynccontextmanager
    async def begin_reading(self) -> AsyncIterator[AsyncConnection]:
        """As `begin`, for who reads more than once: all of it as it is at one moment. Nothing can be written.

        Raises:
            As `begin`.
        """
        async with self.begin() as connection:
            statement = "BEGIN" if self.is_sqlite else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
            await connection.exec_driver_sql(statement)
            yield connection

    async def migrate(self) -> None:
        """Create the tables, or bring them up to date.

        Raises:
            Unavailable: the database is out of reach, damaged, or of a newer version; it is left as it was.
        """
        async with self.begin() as connection:
            if not self.is_sqlite:
                # Daemons that start together migrate one after the other.
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            if await connection.run_sync(_revisions) != [_newest_revision()]:
                await connection.run_sync(self._upgrade)

    async def size(self) -> int:
        """Bytes on disk.

        Raises:
            Unavailable: it cannot be asked.
        """
        if self.is_sqlite:
            files = [Path(f"{self._engine.url.database}{suffix}") for suffix in ("", "-wal")]
            return sum(each.stat().st_size for each in files if each.exists())
        async with self.begin() as connection:
            return int((await connection.execute(text("SELECT pg_database_size(current_database())"))).scalar_one())

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    async def _take_turn(self) -> None:
        """SQLite keeps no queue: it looks now and then, and among many that write who waits might never find a gap."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._turn.acquire()
        except TimeoutError:
            problem = f"{self.name}: others have been writing for {_PATIENCE:.0f} seconds"
            raise Unavailable("database_unreachable", problem, "is the disk slow?") from None

    def _upgrade(self, connection: Connection) -> None:
        # Imported here because it takes long, and nine megabytes that most starts do without.
        from alembic import command
        from alembic.config import Config
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", "vpn.store:migrations")
        config.attributes["connection"] = connection
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        current = MigrationContext.configure(connection).get_current_heads()
        unknown = set(current) - known
        if unknown:
            raise Unavailable(
                "database_newer",
                f"{self.name} was written by a newer version of vpn-manager (its revision is {min(unknown)})",
                "upgrade vpn-manager, or restore a backup that this version wrote",
            )
        command.upgrade(config, "head")

    def _explain(self, error: DBAPIError | PoolTimeout) -> Unavailable:
        cause = error.orig if isinstance(error, DBAPIError) else error
        problem = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        if self.is_sqlite and isinstance(cause, sqlite3.DatabaseError) and "not a database" in problem:
            return Unavailable("database_damaged", f"{self.name}: {problem}", "restore the file from a backup")
        if isinstance(error, (OperationalError, PoolTimeout)):
            hint = (
                "is there space, and may we write there?" if self.is_sqlite else "is the server up, and the URL right?"
            )
            return Unavailable("database_unreachable", f"{self.name}: {problem}", hint)
        return Unavailable("database_failed", f"{self.name}: {problem}", "see the message; a backup may be needed")


def _log_slow_queries(engine: Engine, slow: float) -> None:
    """Log statements that take so many seconds or more, without the values in them."""
    log = structlog.get_logger("database")

    def before(_connection: object, _cursor: object, _statement: str, _values: object, context: Any, _m: bool) -> None:
        context.vpn_began = time.monotonic()

    def after(_connection: object, _cursor: object, statement: str, _values: object, context: Any, _m: bool) -> None:
        seconds = time.monotonic() - context.vpn_began
        if seconds >= slow:
            log.warning("slow query", seconds=round(seconds, 3), statement=" ".join(statement[:_SHOWN].split()))

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)


def _revisions(connection: Connection) -> list[str]:
    """What Alembic has noted in the database."""
    if not inspect(connection).has_table("alembic_version"):
        return []
    return list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())


def _newest_revision() -> str:
    """That of the last migration, which is in its name: ``m0007_rollups`` is 0007."""
    return max(module.name[1:5] for module in iter_modules(versions.__path__))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # WAL lets readers go on while we write; NORMAL keeps every commit over a crash of ours, if not over
    # a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
