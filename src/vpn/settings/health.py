"""The settings of the health checks."""

from __future__ import annotations

from pydantic import Field

from vpn.settings.values import Section, Size


class HealthSettings(Section):
    """When the daemon counts as ready."""

    min_free_space: Size = Field(
        50_000_000, description="What has to be free in the file system of the data directory, e.g. 50MB."
    )
