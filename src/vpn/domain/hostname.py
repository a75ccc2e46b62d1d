"""Host names (RFC 1123 §2.1)."""

from __future__ import annotations

import re

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def is_hostname(text: str) -> bool:
    """Whether this can be the name of a host, in ASCII; an address in digits is none."""
    labels = text.removesuffix(".").split(".")
    return len(text) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
