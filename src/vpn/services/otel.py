"""OpenTelemetry: traces and metrics to a collector, if there is one. Without, none of its code is in memory."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from vpn.domain.errors import Invalid
from vpn.services.figures import FigureSource
from vpn.services.live_sessions import News
from vpn.services.tracing import Tracer
from vpn.settings.otel import OtelSettings, split_headers

if TYPE_CHECKING:
    from vpn.services.otel_metrics import MetricSender
    from vpn.services.otel_traces import TraceSender

FLUSH = 3.0  # seconds that the rest may take at the end
_LARGEST_FILE = 65536


class Otel:
    """Sends what is traced and measured. `close` it at the end.

    Raises:
        Invalid: a file that the settings name cannot be used.
    """

    def __init__(self, settings: OtelSettings) -> None:
        self.tracer: Tracer | None = None  # nothing is recorded
        self._settings = settings
        self._traces: TraceSender | None = None
        self._metrics: MetricSender | None = None
        if not settings.endpoint:
            return
        headers = _headers(settings)
        _check_ca(settings.ca_file)
        if settings.traces:
            from vpn.services.otel_traces import TraceSender

            self._traces = TraceSender(settings, headers)
            self.tracer = self._traces.tracer
        if settings.metrics:
            from vpn.services.otel_metrics import MetricSender

            self._metrics = MetricSender(settings, headers)
        structlog.get_logger("otel").info("telemetry is sent", endpoint=settings.endpoint)

    @property
    def sample_ratio(self) -> float:
        """The share of the sessions that workers are to trace."""
        return self._settings.sample_ratio if self._traces is not None else 0.0

    def hear(self, news: News) -> None:
        """Send spans of those that ended and are traced."""
        if self._traces is not None:
            self._traces.hear(news)

    async def run(self, figures: FigureSource) -> None:
        """Send metrics now and then, until cancelled."""
        if self._metrics is not None:
            await self._metrics.run(figures)

    async def close(self) -> None:
        """Send the rest, for three seconds at most."""
        senders: list[TraceSender | MetricSender] = [each for each in (self._traces, self._metrics) if each is not None]
        if self._traces is not None:
            self._traces.finish()
        if self._metrics is not None:
            await self._metrics.send()
        await asyncio.to_thread(_wait, senders)
        for sender in senders:
            sender.abort()


def _wait(senders: list[TraceSender | MetricSender]) -> None:
    deadline = time.monotonic() + FLUSH
    for sender in senders:
        sender.wait(max(0.0, deadline - time.monotonic()))


def _headers(settings: OtelSettings) -> dict[str, str]:
    texts = split_headers(settings.headers.get_secret_value())
    if settings.headers_file is not None:
        texts += _read_headers(settings.headers_file)
    pairs = (text.partition("=") for text in texts)
    return {name.lower(): value for name, _, value in pairs}


def _read_headers(path: Path) -> list[str]:
    hint = "it has one header a line, written as name=value"
    try:
        with path.open(encoding="ascii") as file:
            texts = split_headers(file.read(_LARGEST_FILE))
    except OSError as error:
        raise Invalid("bad_headers_file", f"otel.headers_file: {path}: {error.strerror}", hint) from None
    except UnicodeDecodeError:
        texts = [""]
    if not all("=" in text and text.isprintable() for text in texts):
        raise Invalid("bad_headers_file", f"otel.headers_file: {path} has lines that are no headers", hint)
    return texts


def _check_ca(path: Path | None) -> None:
    if path is not None:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:  # SSLError is one
            reason = error.strerror or "no certificates in PEM"
            raise Invalid("bad_ca_file", f"otel.ca_file: {path}: {reason}", "name a file with certificates") from None
