"""The settings of OpenTelemetry: where traces and metrics are sent."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from vpn.settings import paths
from vpn.settings.values import Seconds, Section

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+=[\x20-\x7e]*")


def _check_endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        usable = False
    if value and not usable:
        raise ValueError("a URL such as https://collector.example.org:4318, without credentials: use otel.headers")
    return value.rstrip("/")


def _check_headers(value: SecretStr) -> SecretStr:
    if not all(_HEADER.fullmatch(each) for each in split_headers(value.get_secret_value())):
        raise ValueError("names and values such as authorization=Bearer abc, with commas between them")
    return value


def _to_path_or_none(value: Any) -> Any:
    return None if value in (None, "") else paths.absolute(value) if isinstance(value, (str, Path)) else value


def split_headers(text: str) -> list[str]:
    """Headers written one after the other, with commas or ends of lines between them."""
    return [each.strip() for each in re.split(r"[,\n]", text) if each.strip()]


class OtelSettings(Section):
    """OpenTelemetry over OTLP and HTTP."""

    endpoint: Annotated[str, AfterValidator(_check_endpoint)] = Field(
        "", description="The collector, e.g. `http://127.0.0.1:4318`; empty: nothing is sent."
    )
    headers: Annotated[SecretStr, AfterValidator(_check_headers)] = Field(
        SecretStr(""), description="Headers for it, as `name=value,name=value`; better in the environment or a file."
    )
    headers_file: Annotated[Path | None, BeforeValidator(_to_path_or_none)] = Field(
        None, description="A file with more headers, one `name=value` a line."
    )
    ca_file: Annotated[Path | None, BeforeValidator(_to_path_or_none)] = Field(
        None, description="Certificates (PEM) that its certificate is checked by; empty: those of the machine."
    )
    insecure: bool = Field(False, description="Whether http:// is good enough for a collector on another machine.")
    traces: bool = Field(True, description="Whether traces are sent: requests of the API, the database, sessions.")
    metrics: bool = Field(True, description="Whether metrics are sent.")
    sample_ratio: float = Field(0.01, ge=0, le=1, description="Share of the sessions that is traced.")
    interval: Seconds = Field(60.0, description="Seconds between two times that metrics are sent.")
    timeout: Seconds = Field(10.0, description="Seconds that the collector has to answer.")
    service_name: str = Field("vpn-manager", min_length=1, max_length=255, description="Our name there.")

    @model_validator(mode="after")
    def _check_transport(self) -> Self:
        """What is sent names users and destinations: it does not go over a network in the clear by mistake."""
        parts = urlsplit(self.endpoint)
        if parts.scheme == "http" and not self.insecure and not _is_here(parts.hostname or ""):
            raise ValueError("an https:// endpoint, a collector on this machine, or otel.insecure")
        return self


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
