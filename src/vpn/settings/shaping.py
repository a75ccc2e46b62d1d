"""The settings of what all users have together."""

from __future__ import annotations

from pydantic import Field

from vpn.settings.values import Rate, Section


class ShapingSettings(Section):
    """Bandwidth that all users have together, clients without credentials among them."""

    down: Rate = Field(0, description="Towards the clients, e.g. 500mbit; 0: as much as there is.")
    up: Rate = Field(0, description="From the clients.")
