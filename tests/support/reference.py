"""A policy decided rule by rule, with nothing from the compiled one: slow, and obviously right."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from vpn.domain.acl import Request
from vpn.domain.policy import Policy, Rule

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def decide(policy: Policy, user: str, groups: tuple[str, ...], request: Request, countries: dict[bytes, str]) -> str:
    """The name of the rule that decides, or ``default``."""
    name = user.lower()
    own = policy.users[name].groups if name in policy.users else ()
    mine = {group.lower() for group in (*groups, *own)} | {"everyone"}
    matching = []
    for order, (kind, holder, number, rule) in enumerate(policy.rules()):
        if (holder in mine if kind == "groups" else holder == name) and _matches(rule, request, countries):
            matching.append((rule.action == "allow", -rule.priority, order, f"{kind}.{holder}.rules.{number}"))
    return min(matching)[3] if matching else "default"


def _matches(rule: Rule, request: Request, countries: dict[bytes, str]) -> bool:
    return (
        rule.enabled
        and ("udp" if request.udp else "tcp") in rule.protocols
        and any(_port(each, request.port) for each in rule.ports)
        and any(_destination(each, request, countries) for each in rule.destinations)
        and (not rule.sources or any(_holds(each, request.source) for each in rule.sources))
        and (not rule.hours or any(_hours(each, rule.timezone, request.now) for each in rule.hours))
    )


def _port(text: str, port: int) -> bool:
    first, _, last = text.partition("-")
    return text == "*" or int(first) <= port <= int(last or first)


def _destination(text: str, request: Request, countries: dict[bytes, str]) -> bool:
    if text.startswith("country:"):
        code, _, ports = text.removeprefix("country:").partition(":")
        where = countries.get(_address(request.packed).packed, "") if request.packed is not None else ""
        return where == code.upper() and _port(ports or "*", request.port)
    host, ports = text, "*"
    if text.startswith("["):
        host, _, ports = text[1:].partition("]")
        ports = ports.removeprefix(":") or "*"
    elif text.count(":") == 1:
        host, _, ports = text.partition(":")
    if not _port(ports, request.port):
        return False
    if host == "*":
        return True
    if ":" in host or "/" in host or host.replace(".", "").isdigit():
        return request.packed is not None and _holds(host, request.packed)
    return bool(request.host) and _name(host.lower().removesuffix("."), request.host)


def _name(pattern: str, host: str) -> bool:
    labels = host.split(".")
    if pattern.startswith("**."):
        return len(labels) > len(pattern[3:].split(".")) and host.endswith(pattern[2:])
    if pattern.startswith("."):
        return host == pattern[1:] or host.endswith(pattern)
    wanted = pattern.split(".")
    return len(wanted) == len(labels) and all(a in ("*", b) for a, b in zip(wanted, labels, strict=True))


def _address(packed: bytes) -> Address:
    address = ipaddress.ip_address(packed)
    return getattr(address, "ipv4_mapped", None) or address


def _holds(text: str, packed: bytes) -> bool:
    network = ipaddress.ip_network(text)
    mapped = network.version == 6 and network.prefixlen >= 96 and network.network_address.ipv4_mapped
    if mapped:
        network = ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}")
    return _address(packed) in network


def _hours(text: str, zone: str, now: float) -> bool:
    """Texts such as ``mon,tue 08:00-18:00`` only."""
    days, hours = text.split()
    first, last = hours.split("-")
    wall = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(zone))
    return _DAYS[wall.weekday()] in days and first <= wall.strftime("%H:%M") < last
