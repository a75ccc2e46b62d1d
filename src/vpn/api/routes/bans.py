"""``/api/bans``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from vpn.api.errors import responses
from vpn.api.schemas.bans import BanPage, BanView, Kind, Lifted, NewBan
from vpn.domain.units import parse_duration
from vpn.services.bans import BanService


def router(bans: BanService) -> APIRouter:
    """Bans: list, add, lift."""
    router = APIRouter(prefix="/api/bans", tags=["bans"])

    @router.get("")
    async def list_bans(
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1, page_size: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> BanPage:
        """List bans, the newest first."""
        found, total = bans.page(page=page, page_size=page_size)
        return BanPage(
            data=[BanView.of(ban) for ban in found],
            total=total,
            page=page,
            page_size=page_size,
            total_pages=-(-total // page_size),
        )

    @router.post("", status_code=201, responses=responses(409))
    async def add_ban(new: NewBan) -> BanView:
        """Ban an address or a user for a time, in the place of a ban there may be. Open connections go on."""
        seconds = parse_duration(new.duration)
        return BanView.of(await bans.add(new.subject, seconds=seconds, kind=new.kind, reason=new.reason))

    @router.delete("")
    async def remove_bans() -> Lifted:
        """Lift all bans."""
        return Lifted(lifted=await bans.clear())

    # A subject may have a slash in it, as 2001:db8::/64 has.
    @router.delete("/{subject:path}", status_code=204, responses=responses(404))
    async def remove_ban(
        subject: Annotated[str, Path(max_length=2000, examples=["192.0.2.1"])],
        kind: Annotated[Kind | None, Query(description="Left out: what looks like an address is a source.")] = None,
    ) -> Response:
        """Lift a ban, and forget the failures that led to it."""
        await bans.remove(subject, kind)
        return Response(status_code=204)

    return router
