"""The settings of the log, and of the access log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from vpn.settings import paths
from vpn.settings.values import Section, Size

Level = Literal["debug", "info", "warning", "error"]
Area = Literal[
    "access",
    "api",
    "audit",
    "bans",
    "daemon",
    "database",
    "ledger",
    "libraries",
    "metrics",
    "monitoring",
    "otel",
    "policy",
    "proxy",
    "quota",
    "sessions",
    "statistics",
]
"""The parts of the daemon that log; each line says from which it is."""


def _to_path_or_none(value: Any) -> Any:
    return None if value in (None, "") else paths.absolute(value) if isinstance(value, (str, Path)) else value


class AccessLogSettings(Section):
    """The access log: a file with one line for each session that ended."""

    file: Annotated[Path | None, BeforeValidator(_to_path_or_none)] = Field(
        None, description="The file; empty: there is no access log."
    )
    format: Literal["json", "logfmt", "combined"] = Field(
        "json", description="An object a line, key=value pairs, or the combined format of web servers."
    )
    max_size: Size = Field(100_000_000, description="Size at which the file is put aside, e.g. 100MB; 0: any size.")
    max_age: float = Field(
        0, ge=0, le=86400 * 366, allow_inf_nan=False, description="Seconds after which it is put aside; 0: never."
    )
    keep: int = Field(7, ge=0, le=1000, description="Files that were put aside and are kept; older ones are removed.")
    compress: bool = Field(True, description="Whether files that were put aside are compressed.")


class LogSettings(Section):
    """The log, which goes to standard error."""

    level: Level = Field("info", description="The least that is logged.")
    levels: dict[Area, Level] = Field(
        {},
        description="Other levels for parts of the daemon, e.g. `sessions: debug`; of `libraries` warnings are logged.",
    )
    format: Literal["pretty", "json"] = Field("pretty", description="For people, or for programs.")
    keep: int = Field(
        2000, ge=0, le=100_000, description="Newest lines that are kept in memory for `vpn logs`, of 2 MiB together."
    )
    access: AccessLogSettings = AccessLogSettings()
