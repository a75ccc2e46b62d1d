"""What a metric is."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]

# The suffixes of units that OpenMetrics wants to be told of.
_UNITS = ("seconds", "bytes")


class Family(NamedTuple):
    """A metric with all its label values: a row of the table that exposition, documentation and dashboards share."""

    name: str
    """As queries use it; a counter's ends in ``_total``."""
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Of a histogram: the upper bounds, without infinity."""

    @property
    def base(self) -> str:
        """The name without a counter's suffix."""
        return self.name.removesuffix("_total")

    @property
    def unit(self) -> str:
        """``seconds``, ``bytes``, or nothing."""
        return next((unit for unit in _UNITS if self.base.endswith(f"_{unit}")), "")

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which its samples are found."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{suffix}" for suffix in ("bucket", "count", "sum"))
        return (self.name,)
