from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from vpn.domain.egress import Egress
from vpn.services.snapshots import Snapshots
from vpn.services.users import UserService
from vpn.store.database import Database, sqlite_url
from vpn.store.users import UserStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[UserStore]:
    database = Database(sqlite_url(tmp_path / "vpn.db"))
    await database.migrate()
    yield UserStore(database)
    await database.close()


@pytest.fixture
def snapshots(store: UserStore) -> Snapshots:
    return Snapshots(store, Egress())


@pytest.fixture
def users(store: UserStore, snapshots: Snapshots) -> UserService:
    return UserService(store, snapshots, partial(datetime.now, UTC))
