"""From addresses to countries, by a file in the MaxMind DB format (.mmdb)."""

from __future__ import annotations

from typing import Any

from vpn.domain.address import unpack
from vpn.domain.errors import Unavailable

CAPACITY = 4096  # addresses whose country is remembered


class Countries:
    """An open file. It is mapped into memory: put a new one beside it and rename, do not write into it.

    Args:
        path: a file of countries, or of cities.

    Raises:
        Unavailable: it cannot be read, or is no such file.
    """

    def __init__(self, path: str) -> None:
        import maxminddb  # noqa: PLC0415 -- a worker without rules on countries does without it

        try:
            self._reader = maxminddb.open_database(path)
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            problem = (isinstance(error, OSError) and error.strerror) or "this is no MaxMind DB file"
            hint = "name a readable .mmdb file in the setting policy.geoip"
            raise Unavailable("geoip_unusable", f"{path}: {problem}", hint) from None
        self._only_v4 = self._reader.metadata().ip_version == 4
        self._known: dict[bytes, str] = {}

    def code(self, packed: bytes) -> str:
        """The code of the country of 4 or 16 address bytes, in capitals; empty: not known."""
        code = self._known.get(packed)
        if code is None:
            if len(self._known) >= CAPACITY:
                del self._known[next(iter(self._known))]
            code = self._known[packed] = self._look_up(packed)
        return code

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def _look_up(self, packed: bytes) -> str:
        if self._only_v4 and len(packed) == 16:
            return ""
        return _code(self._reader.get(unpack(packed)))


def _code(record: Any) -> str:
    """The code in a record: MaxMind's own have it below `country`, others beside."""
    if not isinstance(record, dict):
        return ""
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code", country)
    return code.upper() if isinstance(code, str) else ""
