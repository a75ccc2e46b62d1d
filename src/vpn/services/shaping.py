"""Who shares what bandwidth with whom: plans for the data plane, made from users, groups and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from vpn.domain.limits import NO_LIMITS, Shared
from vpn.domain.shaping import Plan, Sharer, plan

Follow = Callable[[Plan, Plan], None]
"""Takes the plans downwards and upwards."""

_NOBODY = Sharer(0, (), NO_LIMITS)  # those who are no user of ours, together


class Shaping:
    """Makes plans, and makes them anew when users, groups or settings change.

    Args:
        down: bits per second that all users have together, towards them; 0: no limit.
        up: the same, from them.
    """

    def __init__(self, down: int, up: int) -> None:
        self._down = down
        self._up = up
        self._users: Sequence[Sharer] = ()
        self._shared: Mapping[str, Shared] = {}
        self._follow: Follow | None = None

    def run(self, follow: Follow) -> None:
        """These plans are followed by this one, from now on."""
        self._follow = follow
        self._tell()

    def limit(self, down: int, up: int) -> None:
        """All users together have this much from now on."""
        self._down = down
        self._up = up
        self._tell()

    def share(self, users: Sequence[Sharer], shared: Mapping[str, Shared]) -> None:
        """These are the users and, by canonical name, what their groups have together from now on."""
        self._users = users
        self._shared = shared
        self._tell()

    def _tell(self) -> None:
        if self._follow is None:
            return
        users = (_NOBODY, *self._users)
        self._follow(plan(users, self._shared, self._down, "down"), plan(users, self._shared, self._up, "up"))
