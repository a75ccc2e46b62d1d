"""The settings of the policy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from vpn.settings.values import AbsolutePath, Section


class PolicySettings(Section):
    """Where the policy is at home."""

    mode: Literal["database", "file"] = Field(
        "database", description="Where the policy is: changed with `vpn policy`, or a file that is watched."
    )
    file: AbsolutePath | None = Field(None, description="That file: .yaml, .toml or .json.")
    geoip: AbsolutePath | None = Field(
        None,
        description="A MaxMind DB file (.mmdb) that tells countries, for destinations such as country:DE. "
        "Replace it by renaming another one to its name.",
    )

    @model_validator(mode="after")
    def _which_file(self) -> PolicySettings:
        if self.mode == "file" and self.file is None:
            raise ValueError("file as well, where mode is file")
        return self
