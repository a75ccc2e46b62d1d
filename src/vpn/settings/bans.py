"""The settings of what keeps brute force away."""

from __future__ import annotations

from pydantic import Field, model_validator

from vpn.domain.bans import BanRules
from vpn.domain.network import parse_networks
from vpn.settings.values import Networks, Seconds, Section


class BansSettings(Section):
    """Who guesses at passwords is slowed, and then banned for a time."""

    enabled: bool = Field(True, description="Whether failures are counted. Bans made by hand hold all the same.")
    # Who is on this machine need not come through the proxy; and where a reverse proxy or a tunnel on it does not
    # say for whom it comes, a ban of loopback would be everybody's.
    trusted: Networks = Field(
        ["127.0.0.0/8", "::1/128"], description="Networks whose failures are not counted, and which are never banned."
    )
    slow_after: int = Field(
        5, ge=1, le=1000, description="Failures of an address, or at a name, from which on answers come late."
    )
    ban_after: int = Field(20, ge=1, le=1000, description="Failures of an address, or at a name, that make a ban.")
    window: Seconds = Field(600, description="Seconds that a failure counts.")
    ban_time: Seconds = Field(300, description="Seconds of a first ban; each further one is twice as long.")
    max_ban_time: Seconds = Field(86400, description="The most seconds of a ban.")

    @model_validator(mode="after")
    def _in_order(self) -> BansSettings:
        if self.max_ban_time < self.ban_time:
            raise ValueError("max_ban_time to be at least ban_time")
        return self


def ban_rules_of(bans: BansSettings) -> BanRules:
    """What the services make of them."""
    return BanRules(
        enabled=bans.enabled,
        trusted=parse_networks(bans.trusted),
        slow_after=bans.slow_after,
        ban_after=bans.ban_after,
        window=bans.window,
        ban_time=bans.ban_time,
        max_ban_time=bans.max_ban_time,
    )
