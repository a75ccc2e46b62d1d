"""A sheet of figures to fill in: one place for each metric of the table, in its order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client.metrics_core import Metric

from vpn.monitoring.families import FAMILIES
from vpn.monitoring.family import Family
from vpn.services.metrics.histogram import Histogram


class Sheet:
    """What is known at one moment. It is a collector for `prometheus_client`."""

    def __init__(self) -> None:
        self._metrics = {family.name: Metric(family.base, family.help, family.kind, family.unit) for family in FAMILIES}

    def put(self, family: Family, value: float, *labels: str) -> None:
        """One figure, with the values of its labels in the order of the table."""
        named = dict(zip(family.labels, labels, strict=True))
        self._metrics[family.name].add_sample(family.name, named, value)

    def put_known(self, family: Family, value: float | None, *labels: str) -> None:
        """One figure, unless nobody knows it."""
        if value is not None:
            self.put(family, value, *labels)

    def put_histogram(self, family: Family, histogram: Histogram, *labels: str) -> None:
        """Values by size."""
        named = dict(zip(family.labels, labels, strict=True))
        metric = self._metrics[family.name]
        bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
        counts = histogram.cumulative()
        for bound, count in zip(bounds, counts, strict=True):
            metric.add_sample(f"{family.name}_bucket", named | {"le": bound}, count)
        metric.add_sample(f"{family.name}_count", named, counts[-1])
        metric.add_sample(f"{family.name}_sum", named, histogram.sum)

    def collect(self) -> Iterable[Metric]:
        """All metrics, those without a figure too."""
        return self._metrics.values()


def histogram_of(bounds: tuple[float, ...], counts: Sequence[int], total: float) -> Histogram:
    """A histogram that somebody else has counted; no counts: of nothing."""
    histogram = Histogram(bounds)
    if counts:
        histogram.counts = list(counts)
        histogram.sum = total
    return histogram
