"""Whether the daemon can do its work, as the API tells everybody."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from vpn.services.health import Parts, well


class PartView(BaseModel):
    """How one part is."""

    state: Literal["ok", "failed", "unknown"]
    detail: str = Field(examples=["2 of 2 serving"])


class Readiness(BaseModel):
    """Whether requests and clients are served as they should be."""

    ready: bool
    parts: dict[str, PartView] = Field(description="workers, database, disk, and what else there is.")

    @classmethod
    def of(cls, parts: Parts) -> Readiness:
        """The view of the parts."""
        return cls(ready=well(parts), parts=views_of(parts))


def views_of(parts: Parts) -> dict[str, PartView]:
    """The views of the parts."""
    return {name: PartView(state=part.state, detail=part.detail) for name, part in parts.items()}
