"""All metrics there are."""

from __future__ import annotations

from vpn.monitoring.daemon_families import DAEMON_FAMILIES
from vpn.monitoring.family import Family
from vpn.monitoring.plane_families import PLANE_FAMILIES
from vpn.monitoring.session_families import SESSION_FAMILIES

GROUPS: dict[str, tuple[Family, ...]] = {
    "Sessions": SESSION_FAMILIES,
    "Data plane": PLANE_FAMILIES,
    "Daemon": DAEMON_FAMILIES,
}
"""By what they are about."""
FAMILIES: tuple[Family, ...] = tuple(family for group in GROUPS.values() for family in group)
