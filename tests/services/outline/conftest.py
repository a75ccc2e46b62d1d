"""Outline's services, without a data plane and without a listener."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from vpn.services.data_plane import DataPlane
from vpn.services.groups import GroupService
from vpn.services.inbounds import InboundService
from vpn.services.outline.keys import KeyService
from vpn.services.outline.ports import KeyPorts
from vpn.services.outline.server import ServerService
from vpn.services.outline.service import OutlineService, Wish
from vpn.services.outline.state import StateBook
from vpn.services.shaping import Shaping
from vpn.services.user_secrets import UserSecrets
from vpn.services.users import UserService
from vpn.settings.model import Settings
from vpn.settings.server import ServerSettings


class Outline:
    """All of them, enabled."""

    def __init__(self, **services: Any) -> None:
        self.server_settings = ServerSettings()
        self.inbounds: InboundService = services["inbounds"]
        self.book = StateBook(services["secrets"])
        self.ports = KeyPorts(self.inbounds, lambda: self.server_settings)
        self.passwords = UserSecrets(services["secrets"])
        self.users: UserService = services["users"]
        self.keys = KeyService(self.users, services["store"], services["groups"], self.passwords, self.book, self.ports)
        self.server = ServerService(self.book, self.ports, services["groups"], lambda: self.server_settings)
        self.service = OutlineService(self.book, self.ports, lambda: self.server_settings, partial(datetime.now, UTC))

    async def enable(self, **wish: Any) -> Any:
        return await self.service.enable(Wish(**wish))


@pytest.fixture
async def inbounds(tmp_path: Path, snapshots: Any, bans: Any, policy: Any, register: Any) -> InboundService:
    settings = Settings(data_dir=tmp_path)
    told = (snapshots, bans, Shaping(0, 0), policy)
    data_plane = DataPlane(settings, *told, register, lambda: settings)
    await data_plane.load()
    return InboundService(register, data_plane)


@pytest.fixture
async def outline(
    inbounds: InboundService, users: UserService, store: Any, groups: GroupService, secrets: Any
) -> Outline:
    made = Outline(inbounds=inbounds, users=users, store=store, groups=groups, secrets=secrets)
    await made.enable()
    return made
