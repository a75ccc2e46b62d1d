"""Users in bulk, as the API takes and gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from vpn.api.schemas.limits import LimitChanges
from vpn.api.schemas.users import GroupNames, Name, Note, Password
from vpn.domain.roster import MOST_ROWS, OnConflict
from vpn.services.roster import Imported


class Row(BaseModel):
    """A user as a row. As a cell of a table, lists may be one text with ; between, and truth yes or no."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "alice", "groups": ["staff"], "limits": {"data_limit": "50GB"}}]},
    )
    row: Annotated[int, Field(ge=0, lt=2**31)] = Field(
        0, description="By what the row is named when something is wrong with it, e.g. its line. 0: by its place."
    )
    name: Name
    password: Password | None = Field(None, description="In clear. Without it and a hash, a new user gets one made.")
    password_hash: str | None = Field(None, description="argon2id, as an export has it.")
    note: Note | None = None
    enabled: bool | str | None = Field(None, description="Whether the user may connect.")
    groups: GroupNames | str | None = Field(None, description="All of them, the nearest first.")
    limits: LimitChanges | None = None
    first_used_at: datetime | None = None


class Import(BaseModel):
    """Rows to import: all or none. Each is looked at by itself, and all that is wrong is told at once."""

    # So rows are only documented here, and read by vpn.domain.roster.

    model_config = ConfigDict(extra="forbid")
    rows: list[SkipValidation[Row]] = Field(max_length=MOST_ROWS)
    on_conflict: OnConflict = Field("fail", description="What becomes of rows whose name a user bears already.")
    dry_run: bool = Field(False, description="Find out what would be, and change nothing.")


class ImportView(BaseModel):
    """What became of the rows, by name of the user."""

    added: list[str]
    updated: list[str]
    skipped: list[str]
    passwords: dict[str, str] = Field(description="Those that were made. They are shown only here.")

    @classmethod
    def of(cls, imported: Imported) -> ImportView:
        """The view of it."""
        return cls(**imported._asdict())


class Export(BaseModel):
    """Users as rows, by name."""

    rows: list[dict[str, Any]] = Field(
        description="As an import takes them.", examples=[[{"name": "alice", "limits": {"down": 20_000_000}}]]
    )
