"""Kinds of values that settings have."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from vpn.domain.address import Endpoint, pack, parse_endpoint
from vpn.domain.destination import parse_destination
from vpn.domain.errors import Invalid
from vpn.domain.hostname import is_hostname
from vpn.domain.network import parse_network
from vpn.domain.units import LARGEST, parse_rate, parse_size
from vpn.settings import paths


class Section(BaseModel):
    """A group of settings; a key that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _to_endpoint(value: Any) -> Endpoint:
    if isinstance(value, Endpoint):
        return value
    try:
        endpoint = parse_endpoint(str(value))
    except Invalid as error:
        raise ValueError(f"an address and port: {error.hint}") from None
    if pack(endpoint.host.partition("%")[0]) is None and not is_hostname(endpoint.host):
        raise ValueError("an address and port: before the port is an IP address or a host name")
    return endpoint


def _to_endpoint_or_none(value: Any) -> Endpoint | None:
    return None if value in (None, "none") else _to_endpoint(value)


def _to_absolute(value: Any) -> Any:
    if value == "":  # which pathlib takes for the working directory
        raise ValueError("a path")
    # As text, for that is all that a path may be in JSON.
    return str(paths.absolute(value)) if isinstance(value, (str, Path)) else value


def _to_list(value: Any) -> Any:
    """A list may be written with commas, as it must be in the environment."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _to_rate(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_rate(value)
    except Invalid as error:
        raise ValueError(f"a rate: {error.hint}") from None


def _to_size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_size(value)
    except Invalid as error:
        raise ValueError(f"a size: {error.hint}") from None


def _checked(parse: Callable[[str], object]) -> Callable[[str], str]:
    def check(value: str) -> str:
        try:
            parse(value)
        except Invalid as error:
            raise ValueError(error.hint) from None
        return value

    return check


def _check_name_server(value: str) -> str:
    """What c-ares refuses would be the end of every worker."""
    if pack(value) is None:
        try:
            host, port = parse_endpoint(value)
        except Invalid:
            host, port = "", 0
        if pack(host) is None or not port:
            raise ValueError("the address of a name server, as 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53")
    return value


Listed = BeforeValidator(_to_list)
AbsolutePath = Annotated[Path, BeforeValidator(_to_absolute)]
Listen = Annotated[
    Endpoint,
    BeforeValidator(_to_endpoint),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["0.0.0.0:8388"]}),
]
ListenOrNot = Annotated[Endpoint | None, BeforeValidator(_to_endpoint_or_none)]
Rate = Annotated[int, BeforeValidator(_to_rate), Field(ge=0, le=LARGEST)]
"""Bits per second."""
Size = Annotated[int, BeforeValidator(_to_size), Field(ge=0, le=LARGEST)]
"""Bytes."""
Seconds = Annotated[float, Field(gt=0, le=86400 * 7, allow_inf_nan=False)]
NetworkText = Annotated[str, AfterValidator(_checked(parse_network))]
DestinationText = Annotated[str, AfterValidator(_checked(parse_destination))]
Networks = Annotated[list[NetworkText], Listed]
Destinations = Annotated[list[DestinationText], Listed]
NameServers = Annotated[list[Annotated[str, AfterValidator(_check_name_server)]], Listed]
Texts = Annotated[list[str], Listed]
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


def check_name(name: str) -> str:
    """Return `name` if an inbound may bear it.

    Raises:
        Invalid: it may not.
    """
    if not re.fullmatch(NAME_PATTERN, name) or name.endswith("\n"):
        hint = "use small letters, digits, - and _, and at most 63 of them"
        raise Invalid("bad_name", f"{name[:80]!r} is no name for an inbound", hint)
    return name


def section_in(annotation: Any) -> type[Section] | None:
    """The section that a setting is, or has below names or numbers."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(section_in, get_args(annotation))), None)
