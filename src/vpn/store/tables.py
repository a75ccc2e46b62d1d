"""The tables as they are at the newest migration."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from vpn.domain.limits import Limits, Shared
from vpn.domain.policy import Policy


class UTCDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC. SQLite has no time zones, so what comes from there is told its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """From UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Document(TypeDecorator[msgspec.Struct]):
    """A struct, kept as JSON; of its fields only those that say something."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        super().__init__()
        self.kind = kind
        self._empty = kind()
        self._decode = msgspec.json.Decoder(kind).decode

    def process_bind_param(self, value: msgspec.Struct | None, dialect: Dialect) -> str | None:
        """To JSON."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: Any | None, dialect: Dialect) -> msgspec.Struct | None:
        """From JSON. Most users have no limits of their own, and share one struct that says so."""
        if value is None:
            return None
        return self._empty if value == "{}" else self._decode(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Single values about the database itself.
facts = Table(
    "facts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("canonical_name", String(64), nullable=False, unique=True),  # the name as it is compared
    Column("password_hash", String(255), nullable=False),
    Column("credential", BigInteger, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("note", String(500), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    Column("limits", Document(Limits), nullable=False, server_default="{}"),
    Column("first_used_at", UTCDateTime),
    sqlite_autoincrement=True,  # what a user has used is booked by number: none is given out twice
)

groups = Table(
    "groups",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("canonical_name", String(64), nullable=False, unique=True),
    Column("note", String(500), nullable=False),
    Column("limits", Document(Limits), nullable=False),
    Column("shared", Document(Shared), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    sqlite_autoincrement=True,
)

# Who is in which group; a user inherits from the group with the lowest place first.
memberships = Table(
    "memberships",
    metadata,
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", Integer, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("place", Integer, nullable=False),
)

# Bytes of each user and day (in the user's time zone). No foreign keys here and below: what was counted is
# booked though the user is being removed, and swept away after the next start.
usage = Table(
    "usage",
    metadata,
    Column("user_id", Integer, primary_key=True, autoincrement=False),
    Column("day", Date, primary_key=True),
    Column("bytes_up", BigInteger, nullable=False),
    Column("bytes_down", BigInteger, nullable=False),
)

# Where each user's quota stands beside the days.
quotas = Table(
    "quotas",
    metadata,
    Column("user_id", Integer, primary_key=True, autoincrement=False),
    Column("hour", UTCDateTime, nullable=False),  # the hour that hour_bytes were moved in
    Column("hour_bytes", BigInteger, nullable=False),
    Column("floor_day", Date, nullable=False),  # days before this one were forgiven,
    Column("floor_bytes", BigInteger, nullable=False),  # and so many bytes of it
    Column("warned_at", UTCDateTime, nullable=False),  # the start of the period
    Column("warned", Integer, nullable=False),  # in which this percentage was warned of
)

# How far the counts of a meter have been booked, so that none is booked twice.
ledger = Table(
    "ledger",
    metadata,
    Column("meter", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", Integer, primary_key=True, autoincrement=False),
    Column("bytes_up", BigInteger, nullable=False),
    Column("bytes_down", BigInteger, nullable=False),
)

# What protocols must know in clear, sealed (vpn.store.secrets). An owner is `users/7` or `inbounds/phones`.
secrets = Table(
    "secrets",
    metadata,
    Column("owner", String(100), primary_key=True),
    Column("kind", String(40), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("digest", String(64), nullable=False),  # of the secret, with the key (vpn.store.secrets)
    Index("ix_secrets_kind_digest", "kind", "digest", unique=True),
)

# Inbounds that were added by commands; those of the settings are not here.
inbounds = Table(
    "inbounds",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("document", Text, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
)

bans = Table(
    "bans",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("subject", String(64), primary_key=True),
    Column("reason", String(200), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("until", UTCDateTime, nullable=False),
    Column("exempt", JSON, nullable=False),
)

# Every policy that there was, in the order in which they came. Nothing here is changed or removed.
policies = Table(
    "policies",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("author", String(64), nullable=False),
    Column("comment", String(500), nullable=False),
    Column("policy", Document(Policy), nullable=False),
    Column("digest", String(64), nullable=False),
)


def session_table(name: str, where: MetaData) -> Table:
    """A table of sessions; `id` is in the order of time (vpn.domain.session), times are seconds since the epoch."""
    return Table(
        name,
        where,
        # In SQLite only an INTEGER is the key of the rows themselves; it has 64 bits all the same.
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
        Column("inbound", Text, nullable=False),
        Column("engine", Text, nullable=False),
        Column("protocol", Text, nullable=False),
        Column("user", Text, nullable=False),
        Column("source_host", Text, nullable=False),
        Column("source_port", Integer, nullable=False),
        Column("host", Text, nullable=False),
        Column("port", Integer, nullable=False),
        Column("address", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("rule", Text, nullable=False),
        Column("upstream", Text, nullable=False),
        Column("server_name", Text, nullable=False),
        Column("started", Double, nullable=False),
        Column("ended", Double, nullable=False),
        Column("connect_time", Double, nullable=False),
        Column("first_byte_time", Double, nullable=False),
        Column("bytes_sent", BigInteger, nullable=False),
        Column("bytes_received", BigInteger, nullable=False),
        Column("packets_sent", BigInteger, nullable=False),
        Column("packets_received", BigInteger, nullable=False),
        Column("duration", Double, nullable=False),
        Column("address_key", LargeBinary),  # the destination's address in 4 or 16 bytes
    )


# Sessions that last, as they were at the last checkpoint.
sessions_live = session_table("sessions_live", metadata)

# Sessions that ended are in tables of their own (vpn.store.session_segments), named by number. Each has those
# whose `id` is from its `first_id` on, up to that of the next.
session_segments = Table(
    "session_segments",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("first_id", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),  # the greatest that was stored in it
    Column("rows", BigInteger, nullable=False),
    Column("sealed", Boolean, nullable=False),  # it has its indexes
    Column("dropped", Boolean, nullable=False),  # it is not read any more, and about to be removed
)

# Users and destination names in sealed segments, each with the newest segment that it is in.
session_terms = Table(
    "session_terms",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("term", String(255), primary_key=True),
    Column("segment", Integer, nullable=False),
)

# How far each journal of sessions has been stored, so that none is stored twice.
journals = Table(
    "journals",
    metadata,
    Column("journal", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)

# What sessions come to (vpn.domain.rollups), by the hour, day and month. `start` is in seconds since the epoch.
rollups = Table(
    "rollups",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("span", String(8), primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(255).with_variant(String(255, collation="C"), "postgresql"), primary_key=True),
    Column("closed", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("bytes_sent", BigInteger, nullable=False),
    Column("bytes_received", BigInteger, nullable=False),
    Column("milliseconds", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# One row: which of them there are (vpn.domain.spans.Progress).
rollup_progress = Table(
    "rollup_progress",
    metadata,
    Column("folded", BigInteger, nullable=False),
    Column("hours_from", BigInteger, nullable=False),
    Column("days_from", BigInteger, nullable=False),
)
