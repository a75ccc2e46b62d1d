"""Subscriptions, as the API shows them."""

from __future__ import annotations

from pydantic import BaseModel, Field


class SubscriptionView(BaseModel):
    """A user's subscription. The URL is a secret."""

    user: str
    url: str = Field(examples=["https://vpn.example.org/sub/kTz6WmQ3vYc8RfNpXh2sLb5dGj7aEu4e"])
    outline: str | None = Field(
        None, description="The dynamic key for Outline; left out: it needs HTTPS.", examples=["ssconf://…"]
    )
    formats: dict[str, str] = Field(description="The URL of each format, by its name.")
    enabled: bool = Field(description="Whether subscriptions are served at all.")
    notice: str | None = Field(None, description="What to know of the URL; left out: nothing.")
