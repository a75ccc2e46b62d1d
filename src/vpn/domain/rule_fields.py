"""The fields of a rule as somebody wrote them: each reader takes any value, and returns what it means."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, get_args

from vpn.domain.destination import COUNTRY, parse_destination
from vpn.domain.errors import Invalid
from vpn.domain.network import parse_network
from vpn.domain.policy import Action
from vpn.domain.schedule import find_zone, parse_schedule
from vpn.domain.user import NAME_LIMIT, NAME_PATTERN, canonical

MOST_ITEMS = 1000  # destinations of a rule, ports, sources, groups of a user
MOST_HOURS = 50
LONGEST_ITEM = 300  # characters
DESCRIPTION_LIMIT = 500
HIGHEST_PRIORITY = 1_000_000

Reader = Callable[[Any], Any]

# What cannot be written in one line of a document, or of a log.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_PORTS = re.compile(r"[0-9]{1,5}(-[0-9]{1,5})?")


def readers(countries: bool) -> dict[str, Reader]:
    """The fields and their readers, which raise `Invalid`.

    Args:
        countries: whether there is a file that tells countries; without one they are errors.
    """
    return {
        "action": read_action,
        "description": _read_description,
        "destinations": _listed(_check_destination if countries else _check_no_country),
        "ports": _read_ports,
        "protocols": _read_protocols,
        "sources": _listed(parse_network, least=0),
        "hours": _listed(parse_schedule, least=0, most=MOST_HOURS),
        "timezone": _read_timezone,
        "priority": _read_priority,
        "enabled": _read_enabled,
    }


def read_action(value: Any) -> Action:
    """``allow`` or ``block``."""
    match value:
        case "allow":
            return "allow"
        case "block":
            return "block"
    raise _bad(value, "action", f"say {' or '.join(get_args(Action))}")


def read_name(value: Any) -> str:
    """The name of a user or a group."""
    if not isinstance(value, str) or len(value) > NAME_LIMIT or not re.fullmatch(NAME_PATTERN, value):
        hint = f"use letters, digits and . _ @ + -, at most {NAME_LIMIT}, and begin with a letter, a digit or _"
        raise _bad(value, "name", hint)
    return str(value)


def read_group_names(value: Any) -> tuple[str, ...]:
    """Names of groups, each once and in the form under which they are compared."""
    return tuple(dict.fromkeys(map(canonical, _listed(read_name, least=0)(value))))


def shown(value: Any) -> str:
    """A value from outside, as far as it fits into a line."""
    return repr(value)[:80] if isinstance(value, (str, int, float)) else "this"


def _bad(value: Any, what: str, hint: str) -> Invalid:
    return Invalid("bad_policy", f"{shown(value)} is no {what}", hint)


def _items(value: Any, least: int, most: int) -> list[Any]:
    """Several values, or one alone."""
    items = value if isinstance(value, list) else [value]
    if len(items) > most:
        raise Invalid("bad_policy", f"these are {len(items)}", f"use at most {most}, and several rules")
    if len(items) < least:
        raise Invalid("bad_policy", "this is empty", "name at least one, or leave it out for all there are")
    return items


def _listed(check: Callable[[str], object], *, least: int = 1, most: int = MOST_ITEMS) -> Reader:
    """A reader of texts that pass a check."""

    def read(value: Any) -> tuple[str, ...]:
        items = _items(value, least, most)
        for each in items:
            if not isinstance(each, str):
                raise _bad(each, "text", "put it in quotes")
            if len(each) > LONGEST_ITEM:
                raise _bad(each, f"text of at most {LONGEST_ITEM} characters", "is a comma or a line end missing?")
            check(each)
        return tuple(map(str, items))

    return read


def _check_destination(text: str) -> None:
    parse_destination(text, countries=True)


def _check_no_country(text: str) -> None:
    _check_destination(text)
    if text.strip().startswith(COUNTRY):
        raise _bad(text, "destination here: countries cannot be told", "name a GeoIP file in the setting policy.geoip")


def _read_description(value: Any) -> str:
    if not isinstance(value, str) or len(value) > DESCRIPTION_LIMIT or _UNPRINTABLE.search(value):
        raise _bad(value, "description", f"write one line of at most {DESCRIPTION_LIMIT} characters")
    return str(value)


def _read_ports(value: Any) -> tuple[str, ...]:
    parts: list[str] = []
    for each in _items(value, 1, MOST_ITEMS):
        if isinstance(each, bool) or not isinstance(each, (int, str)):
            raise _bad(each, "port", "write 443, 8000-9000 or *")
        parts += [part.strip() for part in str(each).split(",")]
    for part in _items(parts, 1, MOST_ITEMS):
        first, _, last = part.partition("-")
        if part != "*" and not (_PORTS.fullmatch(part) and int(first) <= int(last or first) <= 65535):
            raise _bad(part, "port", "write 443, 8000-9000 or *; ports go from 0 to 65535, the lower one first")
    return tuple(parts)


def _read_protocols(value: Any) -> tuple[str, ...]:
    chosen: set[str] = set()
    for each in _items(value, 1, MOST_ITEMS):
        if each not in ("tcp", "udp", "both"):
            raise _bad(each, "protocol", "say tcp, udp or both")
        chosen.update(("tcp", "udp") if each == "both" else (str(each),))
    return tuple(sorted(chosen))


def _read_timezone(value: Any) -> str:
    if not isinstance(value, str):
        raise _bad(value, "time zone", "write it as Europe/Berlin")
    find_zone(value)
    return str(value)


def _read_priority(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > HIGHEST_PRIORITY:
        raise _bad(value, "priority", f"use a whole number from -{HIGHEST_PRIORITY} to {HIGHEST_PRIORITY}")
    return int(value)


def _read_enabled(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _bad(value, "truth value", "say true or false")
    return value
