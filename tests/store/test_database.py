import asyncio
import importlib
import secrets
from pkgutil import iter_modules

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from structlog.testing import capture_logs

from tests.support.child import in_child
from vpn.domain.errors import Invalid, Unavailable
from vpn.store.database import Database, sqlite_url
from vpn.store.migrations import versions
from vpn.store.tables import metadata

pytestmark = pytest.mark.anyio


async def test_migrations_make_the_tables_that_the_code_uses(database):
    def differences(connection):
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    async with database.begin() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(database):
    async def versions():
        async with database.begin() as connection:
            return (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all()

    before = await versions()
    await database.migrate()
    assert await versions() == before
    assert len(before) == 1


async def test_a_newer_database_is_left_as_it_is(database, url):
    async with database.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    again = Database(url)
    with pytest.raises(Unavailable) as caught:
        await again.migrate()
    await again.close()
    assert caught.value.code == "database_newer"
    async with database.begin() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == "9999"


async def test_a_transaction_that_fails_leaves_nothing(database):
    with pytest.raises(RuntimeError):
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO facts (name, value) VALUES ('a', 'b')"))
            raise RuntimeError
    async with database.begin() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM facts"))).scalar() == 0


async def test_no_parameter_is_in_an_error(database):
    with pytest.raises(Unavailable) as caught:
        async with database.begin() as connection:
            await connection.execute(text("INSERT INTO nowhere VALUES (:hash)"), {"hash": "topsecret"})
    assert "topsecret" not in caught.value.message
    assert "topsecret" not in str(caught.value.__cause__)


async def test_who_reads_first_and_writes_then_is_not_overtaken(database):
    async with database.begin() as connection:
        await connection.execute(text("INSERT INTO facts (name, value) VALUES ('n', 'a')"))

    async def lengthen():
        async with database.begin_writing() as connection:
            lock = "" if database.is_sqlite else " FOR UPDATE"
            value = (await connection.execute(text(f"SELECT value FROM facts WHERE name = 'n'{lock}"))).scalar()
            longer = bytes(value, "ascii") + b"a" if isinstance(value, str) else bytes(value) + b"a"
            await connection.execute(text("UPDATE facts SET value = :value WHERE name = 'n'"), {"value": longer})

    await asyncio.gather(*(lengthen() for _ in range(5)))
    async with database.begin() as connection:
        assert bytes((await connection.execute(text("SELECT value FROM facts"))).scalar()) == b"a" * 6


async def test_who_writes_has_a_turn_in_the_order_of_coming_however_many_write(tmp_path):
    database = Database(sqlite_url(tmp_path / "vpn.db"))  # PostgreSQL keeps a queue itself
    turns, late = [], []

    async def write(name, times):
        for _ in range(times):
            async with database.begin_writing():
                turns.append(name)
                if name == "greedy" and len(turns) == 5:
                    late.append(asyncio.create_task(write("late", 1)))
                    await asyncio.sleep(0)

    await asyncio.gather(write("greedy", 20), write("greedy", 20))
    await late[0]
    await database.close()
    assert turns.index("late") <= 7, "only who came before is before it"


async def test_who_writes_does_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr("vpn.store.database._PATIENCE", 0.01)
    database = Database(sqlite_url(tmp_path / "vpn.db"))
    async with database.begin_writing():
        with pytest.raises(Unavailable, match="others have been writing") as caught:
            async with database.begin_writing():
                pass
    async with database.begin_writing():
        pass
    await database.close()
    assert caught.value.code == "database_unreachable"


async def test_it_has_a_size_that_grows(database):
    async with database.begin() as connection:
        await connection.execute(text("CREATE TABLE ballast (content TEXT)"))
    before = await database.size()
    assert before > 8192
    async with database.begin() as connection:
        await connection.execute(text("INSERT INTO ballast VALUES (:content)"), {"content": random_text(1 << 20)})
    assert await database.size() - before >= 1 << 20


def random_text(length):
    """Of this length, and not to be compressed."""
    return secrets.token_hex(length // 2)


async def test_sqlite_writes_ahead(tmp_path):
    database = Database(sqlite_url(tmp_path / "vpn.db"))
    async with database.begin() as connection:
        assert (await connection.execute(text("PRAGMA journal_mode"))).scalar() == "wal"
        assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar() == 1
    await database.close()


async def test_a_damaged_file(tmp_path):
    path = tmp_path / "vpn.db"
    path.write_bytes(b"not a database at all" * 100)
    database = Database(sqlite_url(path))
    with pytest.raises(Unavailable) as caught:
        await database.migrate()
    await database.close()
    assert caught.value.code == "database_damaged"
    assert path.read_bytes() == b"not a database at all" * 100


async def test_a_server_that_is_not_there_and_no_password_in_the_message():
    database = Database("postgresql://me:topsecret@127.0.0.1:1/x")
    with pytest.raises(Unavailable) as caught:
        await database.migrate()
    await database.close()
    assert caught.value.code == "database_unreachable"
    assert "topsecret" not in caught.value.message + caught.value.hint


async def test_a_server_that_says_nothing_more_is_given_up_and_the_url_may_say_when(postgres):
    database = Database(postgres.new_database() + "&connect_timeout=3")
    async with database.begin() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        parameters = driver.info.get_parameters()
    await database.close()
    assert (parameters["connect_timeout"], parameters["tcp_user_timeout"]) == ("3", "30000")


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://me@host/x", "postgresql:/"])
async def test_what_is_no_database_url(url):
    with pytest.raises(Invalid) as caught:
        Database(url)
    assert caught.value.code == "bad_database_url"


async def test_slow_statements_are_logged_without_their_values(url):
    database = Database(url, slow=0.1)
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :most) SELECT count(*) FROM n"
    with capture_logs() as lines:
        async with database.begin() as connection:
            await connection.execute(text(count + " -- " + "x" * 2000), {"most": 2_000_000})
            await connection.execute(text(count), {"most": 1})
    await database.close()
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("slow query", "warning")
    assert line["seconds"] >= 0.1
    assert line["statement"].startswith("WITH RECURSIVE")
    assert len(line["statement"]) <= 1000
    assert "2000000" not in str(line)


def test_migrations_are_named_by_their_revisions_and_are_one_line():
    names = sorted(module.name for module in iter_modules(versions.__path__))
    modules = [importlib.import_module(f"vpn.store.migrations.versions.{name}") for name in names]
    assert [module.revision for module in modules] == [name[1:5] for name in names]
    assert [module.down_revision for module in modules] == [None, *(module.revision for module in modules[:-1])]


async def test_a_database_that_is_up_to_date_needs_no_alembic(tmp_path):
    code = """
import asyncio, sys
from vpn.store.database import Database

async def migrate():
    database = Database("sqlite:///" + sys.argv[1])
    await database.migrate()
    await database.close()

asyncio.run(migrate())
answer("alembic" in sys.modules)
"""
    assert in_child(code, str(tmp_path / "vpn.db")) is True
    assert in_child(code, str(tmp_path / "vpn.db")) is False
