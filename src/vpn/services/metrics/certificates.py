"""When the certificates of inbounds end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpn.domain.inbound import Inbound

_Known = tuple[int, float]
"""When the file was changed last, in nanoseconds, and when its certificate ends."""


class Certificates:
    """Reads certificate files, each anew only when it has changed."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def expiries(self, inbounds: Sequence[Inbound]) -> dict[str, float]:
        """When they end, in seconds since 1970, by inbound; without those that cannot be read."""
        wanted = {inbound.name: inbound.tls.certificate for inbound in inbounds if inbound.tls is not None}
        self._known = {path: self._read(path) for path in set(wanted.values())}
        return {name: self._known[path][1] for name, path in wanted.items() if self._known[path][1]}

    def _read(self, path: str) -> _Known:
        """The first certificate of a file is the inbound's own; 0.0: there is none."""
        from cryptography import x509  # noqa: PLC0415 -- 8 MB, which a daemon without TLS does without

        try:
            changed = Path(path).stat().st_mtime_ns
            if path in self._known and self._known[path][0] == changed:
                return self._known[path]
            certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
        except (OSError, ValueError):
            return 0, 0.0  # the workers say what is wrong with it
        return changed, certificate.not_valid_after_utc.timestamp()
