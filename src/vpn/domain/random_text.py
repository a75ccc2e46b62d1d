"""Random text that people may have to read, type, or put into a shell or a URL."""

from __future__ import annotations

import secrets

# No character that is mistaken for another, or that a shell or a URL would want quoted.
_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def random_text(length: int) -> str:
    """So many random characters, of 5.8 bits each."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
