"""Groups, as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from vpn.api.schemas.limits import LimitChanges, LimitsView, SharedChanges, SharedView
from vpn.api.schemas.users import Name, Note
from vpn.domain.user_changes import GroupFields
from vpn.store.groups import Counted

_NAME = "Letters, digits and . _ @ + -; compared without regard to case. In the group everyone are all users."
_LIMITS = "What each member inherits."
_SHARED = "What all members have together."


class GroupChanges(BaseModel):
    """What to change of a group; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limits": {"down": "50mbit"}}]})
    name: Name | None = Field(None, description=f"Another name. {_NAME}")
    note: Note | None = Field(None, description="Anything, at most 500 characters.")
    limits: LimitChanges | None = Field(None, description=_LIMITS)
    shared: SharedChanges | None = Field(None, description=_SHARED)

    def fields(self) -> GroupFields:
        """What is said, besides the name."""
        said = self.model_dump(exclude_unset=True, exclude={"name"})
        fields: GroupFields = {key: value for key, value in said.items() if value is not None}  # type: ignore[assignment]
        return fields


class NewGroup(GroupChanges):
    """A group to add."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "staff", "limits": {"down": "20mbit"}}]}
    )
    name: Name = Field(description=_NAME)


class GroupView(BaseModel):
    """A group."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "staff",
                    "note": "",
                    "members": 12,
                    "limits": {"down": 20_000_000},
                    "shared": {"down": 1_000_000_000},
                    "created_at": "2026-11-21T10:00:00Z",
                    "updated_at": "2026-11-21T10:00:00Z",
                }
            ]
        }
    )
    name: str
    note: str
    members: int = Field(description="Users in it.")
    limits: LimitsView = Field(description=_LIMITS)
    shared: SharedView = Field(description=_SHARED)
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, counted: Counted) -> GroupView:
        """The view of a group."""
        group = counted.group
        return cls(
            name=group.name,
            note=group.note,
            members=counted.members,
            limits=LimitsView.of_limits(group.limits),
            shared=SharedView.of(group.shared),
            created_at=group.created_at,
            updated_at=group.updated_at,
        )


class GroupPage(BaseModel):
    """One page of groups, by name."""

    data: list[GroupView]
    total: Annotated[int, Field(description="Groups in all.")]
    page: int
    page_size: int
    total_pages: int
