"""Metrics, by OpenTelemetry's exporter. Imported only where they are sent: it takes some megabytes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable

import structlog
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from vpn import __version__
from vpn.services.figures import Distribution, Figure, FigureSource
from vpn.services.otel_outcome import Outcome
from vpn.services.otel_traces import resource_of
from vpn.settings.otel import OtelSettings

_CUMULATIVE = AggregationTemporality.CUMULATIVE


class MetricSender:
    """Sends all figures now and then, one time after the other."""

    def __init__(self, settings: OtelSettings, headers: dict[str, str]) -> None:
        self._interval = settings.interval
        self._resource = resource_of(settings)
        self._began = time.time_ns()
        endpoint = f"{settings.endpoint}/v1/metrics"
        self._exporter = OTLPMetricExporter(
            endpoint,
            str(settings.ca_file) if settings.ca_file else None,
            headers=headers,
            timeout=settings.timeout,
            compression=Compression.Gzip,
        )
        self._outcome = Outcome("metrics", endpoint)
        self._figures: FigureSource | None = None
        self._sending: threading.Thread | None = None

    async def run(self, figures: FigureSource) -> None:
        """Send these, until cancelled."""
        self._figures = figures
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.send()
            except Exception as error:  # a defect; the next figures may do
                structlog.get_logger("otel").error("defect while measuring", exc_info=error)

    async def send(self) -> None:
        """Begin to send the figures as they are now, unless those from before are still being sent."""
        if self._figures is None or (self._sending is not None and self._sending.is_alive()):
            return
        data = self._data(await self._figures())
        self._sending = threading.Thread(target=self._export, args=(data,), name="otel-metrics", daemon=True)
        self._sending.start()

    def wait(self, seconds: float) -> None:
        """Wait until they are sent, but no longer than this."""
        if self._sending is not None:
            self._sending.join(seconds)

    def abort(self) -> None:
        """Send no more."""
        self._exporter.shutdown()
        self._outcome.close()

    def _export(self, data: MetricsData) -> None:
        result = self._exporter.export(data)
        self._outcome.note(sent=result is MetricExportResult.SUCCESS)

    def _data(self, figures: Iterable[Figure]) -> MetricsData:
        now = time.time_ns()
        metrics = [self._metric(figure, now) for figure in figures]
        scope = ScopeMetrics(InstrumentationScope("vpn", __version__), metrics, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])

    def _metric(self, figure: Figure, now: int) -> Metric:
        data: Sum | Gauge | Histogram
        if figure.kind == "histogram":
            found = [(labels, value) for labels, value in figure.samples if isinstance(value, Distribution)]
            data = Histogram([self._spread(dict(labels), value, now) for labels, value in found], _CUMULATIVE)
        else:
            points = [
                NumberDataPoint(dict(labels), self._began if figure.kind == "counter" else 0, now, value)
                for labels, value in figure.samples
                if not isinstance(value, Distribution)
            ]
            data = Sum(points, _CUMULATIVE, is_monotonic=True) if figure.kind == "counter" else Gauge(points)
        return Metric(figure.name, figure.help, figure.unit, data)

    def _spread(self, labels: dict[str, str], value: Distribution, now: int) -> HistogramDataPoint:
        count = sum(value.counts)
        # Neither the least nor the greatest value is known, only the bounds of where they lie.
        held = [number for number, within in enumerate(value.counts) if within] or [0]
        least = value.bounds[held[0] - 1] if held[0] else 0.0
        greatest = value.bounds[min(held[-1], len(value.bounds) - 1)]
        return HistogramDataPoint(
            labels, self._began, now, count, value.total, list(value.counts), list(value.bounds), least, greatest
        )
