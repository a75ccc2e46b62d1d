"""Which sessions are traced: a share of them, the same ones wherever it is asked."""

from __future__ import annotations

_MASK = (1 << 64) - 1


def is_sampled(number: int, ratio: float) -> bool:
    """Whether the session with this identifier is of those that are traced.

    Args:
        ratio: the share of all sessions, from 0 to 1.
    """
    # Identifiers are counted up: their bits are mixed (splitmix64), so that every share is an even one.
    mixed = number & _MASK
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _MASK
    return (mixed ^ (mixed >> 31)) < ratio * (1 << 64)
