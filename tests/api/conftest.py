from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.support.plane import TIMEOUTS
from vpn.api.app import create_app
from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.services.access import links_for
from vpn.services.snapshots import Snapshots
from vpn.services.status import StatusService
from vpn.services.users import UserService
from vpn.store.database import Database, sqlite_url
from vpn.store.users import UserStore

TOKEN = "vpn_token-of-the-tests"


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[FastAPI]:
    database = Database(sqlite_url(tmp_path / "vpn.db"))
    await database.migrate()
    store = UserStore(database)
    inbounds = [Inbound("main", "mixed", Endpoint("127.0.0.1", 1080))]
    yield create_app(
        users=UserService(store, Snapshots(store, TIMEOUTS, private_destinations=False), partial(datetime.now, UTC)),
        links_for=partial(links_for, inbounds),
        status=StatusService(store, inbounds),
        token=TOKEN,
    )
    await database.close()
