"""The settings of how the server is reached."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from vpn.domain.address import pack
from vpn.domain.hostname import is_hostname
from vpn.settings.values import Section


def _check_host(value: str) -> str:
    packed = pack(value)
    if value and packed is None and not is_hostname(value):
        raise ValueError("an IP address or a host name, without a port")
    if packed is not None and not any(packed):
        raise ValueError("an address that clients can reach; this one stands for all that there are here")
    return value


PublicHost = Annotated[str, Field(max_length=253), AfterValidator(_check_host)]


class ServerSettings(Section):
    """How clients reach this server."""

    public_host: PublicHost = Field(
        "",
        description="The address or name in links; empty: a guess, and what shows links says so. "
        "An inbound may have its own.",
    )
    name: str = Field("", max_length=64, description="What clients show; empty: the public host.")
