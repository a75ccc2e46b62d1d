from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from vpn.domain.bans import BanRules
from vpn.domain.egress import Egress
from vpn.proxy.control import Snapshot, SnapshotUser
from vpn.services.bans import BanService
from vpn.services.enforcement import Enforcement
from vpn.services.groups import GroupService
from vpn.services.inbound_register import InboundRegister
from vpn.services.ledger import Ledger
from vpn.services.policy import PolicyService
from vpn.services.shaping import Shaping
from vpn.services.snapshots import Snapshots
from vpn.services.users import UserService
from vpn.settings.policy import PolicySettings
from vpn.store.bans import BanStore
from vpn.store.database import Database, sqlite_url
from vpn.store.groups import GroupStore
from vpn.store.inbounds import InboundStore
from vpn.store.policies import PolicyStore
from vpn.store.sealed import SecretStore
from vpn.store.secrets import SecretBox
from vpn.store.usage import UsageStore
from vpn.store.users import UserStore


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(tmp_path / "vpn.db"))
    await database.migrate()
    yield database
    await database.close()


@pytest.fixture
def store(database: Database) -> UserStore:
    return UserStore(database)


@pytest.fixture
def group_store(database: Database) -> GroupStore:
    return GroupStore(database)


@pytest.fixture
def ledger(database: Database, tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "meter", UsageStore(database), partial(datetime.now, UTC))


@pytest.fixture
def enforcement(store: UserStore, group_store: GroupStore, database: Database, ledger: Ledger) -> Enforcement:
    return Enforcement(store, group_store, UsageStore(database), ledger, Shaping(0, 0), partial(datetime.now, UTC))


@pytest.fixture
def secrets(database: Database) -> SecretStore:
    return SecretStore(database, SecretBox(bytes(32)))


@pytest.fixture
def register(database: Database, secrets: SecretStore) -> InboundRegister:
    return InboundRegister(InboundStore(database), secrets, partial(datetime.now, UTC))


@pytest.fixture
def snapshots(enforcement: Enforcement) -> Snapshots:
    return Snapshots(enforcement.arrange, Egress())


class Clock:
    """A present moment that a test moves on."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


RULES = BanRules(slow_after=3, ban_after=5, window=100, ban_time=10, max_ban_time=40)


@pytest.fixture
async def bans(database: Database, clock: Clock) -> AsyncIterator[BanService]:
    service = BanService(BanStore(database), RULES, clock)
    await service.load()
    yield service
    await service.close()


async def groups_of_user(name: str) -> tuple[str, ...] | None:
    """Alice is the one user, and on the staff."""
    return ("Staff",) if name == "alice" else None


@pytest.fixture
def policy(database: Database, clock: Clock) -> PolicyService:
    return PolicyService(PolicyStore(database), PolicySettings(), groups_of_user, clock)


@pytest.fixture
def users(store: UserStore, snapshots: Snapshots) -> UserService:
    return UserService(store, snapshots, partial(datetime.now, UTC))


@pytest.fixture
def groups(group_store: GroupStore, snapshots: Snapshots) -> GroupService:
    return GroupService(group_store, snapshots, partial(datetime.now, UTC))


@pytest.fixture
def published(snapshots: Snapshots) -> list[dict[str, SnapshotUser]]:
    """The users of each snapshot that was published."""
    seen: list[dict[str, SnapshotUser]] = []

    async def publish(snapshot: Snapshot) -> None:
        seen.append({user.name: user for user in snapshot.users})

    snapshots.publish_to(publish)
    return seen
