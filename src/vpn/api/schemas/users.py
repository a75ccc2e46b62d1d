"""Users, as the API shows them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from vpn.api.schemas.limits import LimitChanges, LimitsView
from vpn.domain.group import MOST_GROUPS
from vpn.domain.limits import Limits
from vpn.domain.user import NAME_LIMIT, NAME_PATTERN, NOTE_LIMIT, PASSWORD_LIMIT, Selection, User
from vpn.domain.user_changes import UserFields
from vpn.services.access import UserLinks
from vpn.services.users import Admission

# The domain decides what is allowed, in words for a person. Here it is only documented, and nonsense kept away.
Text = Annotated[str, Field(max_length=2000)]
Name = Annotated[Text, Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$", "maxLength": NAME_LIMIT})]
Password = Annotated[Text, Field(json_schema_extra={"minLength": 1, "maxLength": PASSWORD_LIMIT})]
Note = Annotated[Text, Field(json_schema_extra={"maxLength": NOTE_LIMIT})]
GroupNames = Annotated[list[Name], Field(max_length=MOST_GROUPS)]
_NAME = "Letters, digits and . _ @ + -; compared without regard to case."


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UserDetails(_Request):
    """What may be said of a user; what is left out stays."""

    note: Note | None = Field(None, description="Anything, at most 500 characters.")
    enabled: bool | None = Field(None, description="Whether the user may connect.")
    groups: GroupNames | None = Field(None, description="All of the user's groups, the nearest first.")
    limits: LimitChanges | None = Field(None, description="Limits of the user's own.")

    def fields(self) -> UserFields:
        """What is said, besides name and password."""
        said = self.model_dump(exclude_unset=True, include={"note", "enabled", "groups", "limits"})
        fields: UserFields = {key: value for key, value in said.items() if value is not None}  # type: ignore[assignment]
        return fields


class NewUser(UserDetails):
    """A user to add."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "alice", "note": "laptop and phone", "limits": {"down": "20mbit"}}]},
    )
    name: Name = Field(description=_NAME)
    password: Password | None = Field(None, description="At most 255 bytes; left out, one is made.")


class UserChanges(UserDetails):
    """What to change of a user; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"enabled": False, "limits": {"up": None}}]}
    )
    name: Name | None = Field(None, description=f"Another name. {_NAME}")


class Where(_Request):
    """Which users are meant: those for whom all of it is true."""

    search: Annotated[str, Field(max_length=100)] = Field("", description="Part of a name or note.")
    group: Text = Field("", description="A group that they are in; everyone means all users.")
    enabled: bool | None = None
    names: list[Text] | None = Field(None, max_length=1000, description="Exactly these.")

    def selection(self) -> Selection:
        """The same for the domain."""
        names = None if self.names is None else tuple(self.names)
        return Selection(search=self.search, group=self.group, enabled=self.enabled, names=names)


class BulkChanges(_Request):
    """What to change of many users: of all that are meant, or of none."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"where": {"group": "trial"}, "changes": {"enabled": False}}]}
    )
    where: Where
    changes: UserDetails
    dry_run: bool = Field(False, description="Find out who would be changed, and change nothing.")


class Changed(BaseModel):
    """Who was changed."""

    count: int
    names: list[str]


class NewPassword(_Request):
    """A password to set."""

    password: Password | None = Field(None, description="At most 255 bytes; left out, one is made.")


class UserView(BaseModel):
    """A user."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "alice",
                    "enabled": True,
                    "note": "laptop and phone",
                    "groups": ["staff"],
                    "limits": {"down": 50_000_000},
                    "effective": {"down": 50_000_000, "max_connections": 20},
                    "created_at": "2026-11-21T10:00:00Z",
                    "updated_at": "2026-11-21T10:00:00Z",
                }
            ]
        }
    )
    name: str
    enabled: bool
    note: str
    groups: list[str] = Field(description="The nearest first.")
    limits: LimitsView = Field(description="The user's own.")
    effective: LimitsView = Field(description="What holds: the user's own, and what is inherited from groups.")
    first_used_at: datetime | None = Field(None, description="Left out: never.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, user: User, effective: Limits) -> UserView:
        """The view of a user."""
        return cls._of(user, LimitsView.of_limits(user.limits), LimitsView.of_limits(effective))

    @classmethod
    def of_all(cls, users: Iterable[User], effective: Iterable[Limits]) -> list[UserView]:
        """The views of many, of whom most have limits that another one has too."""
        views: dict[Limits, LimitsView] = {}

        def view(limits: Limits) -> LimitsView:
            if limits not in views:
                views[limits] = LimitsView.of_limits(limits)
            return views[limits]

        return [cls._of(user, view(user.limits), view(limits)) for user, limits in zip(users, effective, strict=True)]

    @classmethod
    def _of(cls, user: User, limits: LimitsView, effective: LimitsView) -> UserView:
        return cls(
            name=user.name,
            enabled=user.enabled,
            note=user.note,
            groups=list(user.groups),
            limits=limits,
            effective=effective,
            first_used_at=user.first_used_at,
            created_at=user.created_at,
            updated_at=user.updated_at,
        )


class UserAccess(BaseModel):
    """A user, and what it takes to connect. The password is not shown again."""

    user: UserView
    password: str = Field(examples=["zP4kVxT8mRq2Wd7hNc5b"])
    links: list[str] = Field(examples=[["socks5h://alice:zP4kVxT8mRq2Wd7hNc5b@127.0.0.1:1080"]])
    notice: str | None = Field(None, description="What to know of the addresses in the links; left out: nothing.")

    @classmethod
    def of(cls, admission: Admission, effective: Limits, links: UserLinks) -> UserAccess:
        """The view of a user whose password was just set."""
        view = UserView.of(admission.user, effective)
        return cls(user=view, password=admission.password, links=links.uris, notice=links.notice or None)


class UserPage(BaseModel):
    """One page of users, by name."""

    data: list[UserView]
    total: int = Field(description="Users that are meant, in all.")
    page: int
    page_size: int
    total_pages: int
