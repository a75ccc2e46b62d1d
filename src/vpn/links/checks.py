"""What must be true of the parts of every link. Each check raises Invalid, and repeats no secret."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection
from ipaddress import ip_interface

from vpn.domain.address import pack
from vpn.links.uri import Form

_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_CHOICE = re.compile(r"[a-z0-9-]{1,40}")


def check_place(form: Form, host: str, port: int) -> None:
    """A host is an IP address or a name in ASCII, a port is from 1 to 65535."""
    if not host:
        raise form.error("its host is missing")
    if pack(host) is None and not _NAME.fullmatch(host):
        raise form.error("its host is neither an address nor a name (names of other scripts are written xn--…)")
    if not 1 <= port <= 65535:
        raise form.error("its port is not from 1 to 65535")


def check_port(form: Form, port: int | None) -> int:
    """There is a port."""
    if port is None:
        raise form.error("its port is missing")
    return port


def check_texts(form: Form, **texts: str) -> None:
    """All of it can be written as UTF-8."""
    for what, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise form.error(f"its {what.replace('_', ' ')} is no Unicode text") from None


def check_choice(form: Form, what: str, value: str, choices: Collection[str]) -> None:
    """It is one of the words there are."""
    if value not in choices:
        # What does not look like a word may be something else, and secret.
        said = value if _CHOICE.fullmatch(value) else "what it says"
        raise form.error(f"{said} is no {what}; there are: {', '.join(each for each in choices if each)}")


def check_uuid(form: Form, value: str) -> None:
    """It is a UUID, with its hyphens."""
    if not _UUID.fullmatch(value):
        raise form.error("its id is no UUID")


def check_key(form: Form, what: str, value: str) -> None:
    """It is 32 bytes in base64, as WireGuard's keys are."""
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise form.error(f"its {what} is not base64") from None
    if len(raw) != 32 or base64.b64encode(raw).decode() != value:
        raise form.error(f"its {what} has {len(raw)} bytes, not 32")


def check_networks(form: Form, what: str, values: Collection[str], *, interfaces: bool = True) -> None:
    """All of them are addresses, with or without the length of a prefix."""
    for value in values:
        try:
            found = ip_interface(value)
        except ValueError:
            raise form.error(f"its {what} is no address") from None
        # An address of one link only (fe80::1%eth0) means nothing elsewhere.
        if "%" in value or (not interfaces and "/" in value) or not value.isascii() or found.version not in (4, 6):
            raise form.error(f"its {what} is no address")


def check_range(form: Form, what: str, value: int, most: int) -> None:
    """It is from 0 to `most`."""
    if not 0 <= value <= most:
        raise form.error(f"its {what} is not from 0 to {most}")
