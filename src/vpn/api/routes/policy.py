"""``/api/policy``: the policy as a whole, and its versions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from vpn.api.errors import responses
from vpn.api.schemas.policy import (
    Application,
    CheckView,
    DiffView,
    DocumentBody,
    PolicyView,
    Rollback,
    StandingView,
    VersionPage,
    VersionView,
)
from vpn.domain.policy_text import policy_text
from vpn.services.policy import PolicyService

PREFIX = "/api/policy"

Number = Annotated[int, Query(ge=0, le=2**31 - 1, description="A version.")]


def router(policy: PolicyService) -> APIRouter:
    """The policy: show, apply, compare, go back."""
    router = APIRouter(prefix=PREFIX, tags=["policy"])

    @router.get("")
    async def show_policy() -> StandingView:
        """Show the policy that holds."""
        return StandingView.standing(await policy.standing())

    @router.put("", responses=responses(409))
    async def apply_policy(new: Application) -> VersionView:
        """Make a document the policy. It is in force when this is answered."""
        version = await policy.apply(
            new.document, author=new.author, comment=new.comment, expected=new.expected_version
        )
        return VersionView.of(version)

    @router.post("/check")
    async def check_policy(body: DocumentBody) -> CheckView:
        """See whether a document could be applied."""
        checked = await policy.check(body.document)
        return CheckView(rules=sum(1 for _ in checked.rules()), text=policy_text(checked))

    @router.get("/diff", responses=responses(404))
    async def compare_versions(older: Number, newer: Number | None = None) -> DiffView:
        """Show what changed between two versions; without `newer`, until now."""
        before, after = await policy.version(older), await policy.version(newer)
        names = (f"version {older}", "now" if newer is None else f"version {newer}")
        return DiffView(text=await policy.diff(before.policy, after.policy, names))

    @router.post("/diff")
    async def compare_document(body: DocumentBody) -> DiffView:
        """Show what a document would change."""
        checked = await policy.check(body.document)
        held = (await policy.standing()).version.policy
        return DiffView(text=await policy.diff(held, checked, ("now", "the document")))

    @router.get("/history")
    async def list_versions(
        page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
        page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> VersionPage:
        """List the versions, the newest first."""
        found, total = await policy.history(page=page, page_size=page_size)
        return VersionPage(
            data=[VersionView.of(each) for each in found],
            total=total,
            page=page,
            page_size=page_size,
            total_pages=-(-total // page_size),
        )

    @router.get("/history/{number}", responses=responses(404))
    async def show_version(number: Annotated[int, Path(ge=0, le=2**31 - 1)]) -> PolicyView:
        """Show a version."""
        return PolicyView.whole(await policy.version(number))

    @router.post("/rollback", responses=responses(404, 409))
    async def roll_back(body: Rollback) -> VersionView:
        """Make an older version the policy again, which is a new version."""
        return VersionView.of(await policy.rollback(body.number, author=body.author, comment=body.comment))

    return router
