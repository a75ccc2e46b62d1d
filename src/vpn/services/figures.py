"""Figures that are measured, whoever they are for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from prometheus_client import Metric

Kind = Literal["counter", "gauge", "histogram"]


class Distribution(NamedTuple):
    """How many values lie where."""

    bounds: Sequence[float]
    """Upper bounds of all buckets but the last, which has none, in order."""
    counts: Sequence[int]
    """Values in each bucket alone: one more than there are bounds."""
    total: float
    """The sum of all values."""


class Figure(NamedTuple):
    """A figure under one name, for each set of labels one value."""

    name: str
    kind: Kind
    unit: str
    """As UCUM has it: ``s``, ``By``, ``{session}``."""
    help: str
    samples: Iterable[tuple[Mapping[str, str], float | Distribution]]


FigureSource = Callable[[], Awaitable[Iterable[Figure]]]
"""Tells all figures as they are now."""

_UNITS = {"seconds": "s", "bytes": "By", "ratio": "1"}


def figures_of(metrics: Iterable[Metric]) -> list[Figure]:
    """The same as Prometheus has it."""
    return [
        Figure(
            metric.name,
            "histogram" if metric.type == "histogram" else "counter" if metric.type == "counter" else "gauge",
            _UNITS.get(metric.name.rpartition("_")[2], ""),
            metric.documentation,
            _spread(metric) if metric.type == "histogram" else _plain(metric),
        )
        for metric in metrics
        if metric.samples
    ]


def _plain(metric: Metric) -> list[tuple[Mapping[str, str], float | Distribution]]:
    return [(sample.labels, sample.value) for sample in metric.samples if not sample.name.endswith("_created")]


def _spread(metric: Metric) -> list[tuple[Mapping[str, str], float | Distribution]]:
    """Prometheus counts what lies below each bound, and has a sample for each."""
    below: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
    totals: dict[tuple[tuple[str, str], ...], float] = {}
    for sample in metric.samples:
        labels = tuple((name, value) for name, value in sample.labels.items() if name != "le")
        if sample.name.endswith("_bucket"):
            below.setdefault(labels, {})[float(sample.labels["le"])] = sample.value
        elif sample.name.endswith("_sum"):
            totals[labels] = sample.value
    found: list[tuple[Mapping[str, str], float | Distribution]] = []
    for labels, buckets in below.items():
        bounds = sorted(buckets)
        counts = [int(buckets[bound]) for bound in bounds]
        alone = [count - before for count, before in zip(counts, [0, *counts], strict=False)]
        found.append((dict(labels), Distribution(bounds[:-1], alone, totals.get(labels, 0.0))))
    return found
