"""How the Outline API is served, as our own API shows it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from vpn.domain.address import parse_endpoint
from vpn.services.outline.service import Setup, Wish, setup_line

Text = Annotated[str, Field(max_length=300)]


class OutlineWish(BaseModel):
    """How the Outline API is to be served; what is left out stays, or is chosen."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"listen": "0.0.0.0:8443"}]})
    listen: Text | None = Field(
        None, description="Where it listens; port 0: one that is free. At first 127.0.0.1 and any free port."
    )
    inbound: Text | None = Field(None, description="The Shadowsocks inbound that new access keys lead to.")
    port: int | None = Field(None, ge=1, le=65535, description="Or its port; where no inbound is, one is added there.")
    method: Text | None = Field(None, description="Or its method, e.g. chacha20-ietf-poly1305.")

    def wish(self) -> Wish:
        """What is said.

        Raises:
            Invalid: where to listen is no address and port.
        """
        listen = None if self.listen is None else parse_endpoint(self.listen)
        return Wish(listen, self.inbound, self.port, self.method)


class OutlineView(BaseModel):
    """How the Outline API is served. Who knows the URL manages all users: keep it secret."""

    api_url: str = Field(description="What all requests begin with.", examples=["https://192.0.2.1:8443/dGhpcyBpcyBh"])
    cert_sha256: str = Field(description="The SHA-256 of the certificate, by which clients know the server.")
    line: str = Field(description="Both, as Outline Manager takes them.")
    listen: str = Field(examples=["0.0.0.0:8443"])
    inbound: str = Field(description="The inbound that new access keys lead to.")
    port: int = Field(description="The port in their links.")
    method: str
    problem: str = Field(description="Why it is not served; empty: it is, or no daemon is running.")
    notices: list[str] = Field(description="What whoever set it up should know.")

    @classmethod
    def of(cls, setup: Setup) -> OutlineView:
        """The view of a setup."""
        return cls(line=setup_line(setup), **setup._asdict())
