"""What the daemon's side of the data plane needs of a log."""

from __future__ import annotations

from typing import Any, Protocol


class Logger(Protocol):
    """A structured logger."""

    def log(self, level: int, event: str, **fields: Any) -> Any:
        """Write one line; `level` as in `logging`."""
