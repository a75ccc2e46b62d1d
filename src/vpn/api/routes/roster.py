"""``/api/roster``: users in bulk. Not below ``/api/users``, where any word may be a user's name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from vpn.api.errors import responses
from vpn.api.schemas.roster import Export, Import, ImportView
from vpn.domain.user import Selection
from vpn.services.roster import RosterService

PATH = "/api/roster"


def router(roster: RosterService) -> APIRouter:
    """All users, in and out."""
    router = APIRouter(prefix=PATH, tags=["users"])

    @router.get("")
    async def export_users(
        group: Annotated[str, Query(max_length=100, description="Only who is in this group.")] = "",
        with_hashes: Annotated[bool, Query(description="With hashes of passwords: keep them as passwords.")] = False,
    ) -> Export:
        """Give users as rows, which can be imported again."""
        return Export(rows=await roster.export_users(Selection(group=group), with_hashes=with_hashes))

    @router.post("", responses=responses(409, 503))
    async def import_users(new: Import) -> ImportView:
        """Add the users of all rows, or of none. A conflict is that names are taken, and nothing else is wrong."""
        return ImportView.of(await roster.import_users(new.rows, on_conflict=new.on_conflict, rehearse=new.dry_run))

    return router
