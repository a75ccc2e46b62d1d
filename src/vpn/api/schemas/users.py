"""Users, as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from vpn.domain.user import NAME_LIMIT, NAME_PATTERN, NOTE_LIMIT, PASSWORD_LIMIT, User
from vpn.domain.user_changes import UserFields
from vpn.services.users import Admission

# The domain decides what is allowed, in words for a person. Here it is only documented, and nonsense kept away.
Text = Annotated[str, Field(max_length=2000)]
Name = Annotated[Text, Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$", "maxLength": NAME_LIMIT})]
Password = Annotated[Text, Field(json_schema_extra={"minLength": 1, "maxLength": PASSWORD_LIMIT})]
Note = Annotated[Text, Field(json_schema_extra={"maxLength": NOTE_LIMIT})]
_NAME = "Letters, digits and . _ @ + -; compared without regard to case."


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewUser(_Request):
    """A user to add."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "alice", "note": "laptop and phone"}]}
    )
    name: Name = Field(description=_NAME)
    password: Password | None = Field(None, description="At most 255 bytes; left out, one is made.")
    note: Note = Field("", description="Anything, at most 500 characters.")
    enabled: bool = Field(True, description="Whether the user may connect.")


class UserChanges(_Request):
    """What to change of a user; what is left out stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": False}]})
    name: Name | None = Field(None, description=f"Another name. {_NAME}")
    note: Note | None = Field(None, description="Anything, at most 500 characters.")
    enabled: bool | None = Field(None, description="Whether the user may connect.")

    def fields(self) -> UserFields:
        """What is said, besides the name."""
        fields: UserFields = self.model_dump(exclude_unset=True, exclude_none=True, exclude={"name"})  # type: ignore[assignment]
        return fields


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
                    "created_at": "2026-11-21T10:00:00Z",
                    "updated_at": "2026-11-21T10:00:00Z",
                }
            ]
        }
    )
    name: str
    enabled: bool
    note: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, user: User) -> UserView:
        """The view of a user."""
        return cls(
            name=user.name,
            enabled=user.enabled,
            note=user.note,
            created_at=user.created_at,
            updated_at=user.updated_at,
        )


class UserAccess(BaseModel):
    """A user, and what it takes to connect. The password is not shown again."""

    user: UserView
    password: str = Field(examples=["zP4kVxT8mRq2Wd7hNc5b"])
    links: list[str] = Field(examples=[["socks5h://alice:zP4kVxT8mRq2Wd7hNc5b@127.0.0.1:1080"]])

    @classmethod
    def of(cls, admission: Admission, links: Sequence[str]) -> UserAccess:
        """The view of a user whose password was just set."""
        return cls(user=UserView.of(admission.user), password=admission.password, links=list(links))


class UserPage(BaseModel):
    """One page of users, by name."""

    data: list[UserView]
    total: int = Field(description="Users in all.")
    page: int
    page_size: int
    total_pages: int
