"""Traces, by the OpenTelemetry SDK. Imported only where they are sent: it takes some megabytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from vpn import __version__
from vpn.services.live_sessions import News
from vpn.services.otel_outcome import Outcome
from vpn.services.otel_sessions import record
from vpn.services.tracing import Span, Tracer, Value
from vpn.settings.otel import OtelSettings

MOST_WAITING = 4096  # spans; more are dropped
AT_ONCE = 512
DELAY = 2.0  # seconds that spans wait for others
MOST_SESSIONS = 200  # traced in a second: each takes a few tenths of a millisecond


def resource_of(settings: OtelSettings) -> Resource:
    """Who sends this."""
    return Resource.create({"service.name": settings.service_name, "service.version": __version__})


class TraceSender:
    """Gathers spans and sends them, in a thread of the SDK's."""

    def __init__(self, settings: OtelSettings, headers: dict[str, str]) -> None:
        endpoint = f"{settings.endpoint}/v1/traces"
        self._exporter = OTLPSpanExporter(
            endpoint,
            str(settings.ca_file) if settings.ca_file else None,
            headers=headers,
            timeout=settings.timeout,
            compression=Compression.Gzip,
        )
        self._outcome = Outcome("traces", endpoint)
        provider = TracerProvider(ParentBased(ALWAYS_ON), resource_of(settings), shutdown_on_exit=False)
        self._processor = BatchSpanProcessor(
            _Watched(self._exporter, self._outcome),
            max_queue_size=MOST_WAITING,
            schedule_delay_millis=DELAY * 1000,
            max_export_batch_size=AT_ONCE,
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("vpn", __version__)
        self.tracer: Tracer = _Tracer(self._tracer)
        self._second = 0
        self._recorded = 0
        self._finishing: threading.Thread | None = None

    def hear(self, news: News) -> None:
        """Record the sessions that ended and are of the share that is traced."""
        for session, _, _ in news.ended:
            if session.phases is not None:  # the workers choose the share
                if not self._may_record():
                    event = "more sessions than can be traced: lower otel.sample_ratio"
                    structlog.get_logger("otel").warning(event, most=MOST_SESSIONS)
                    return
                record(self._tracer, session)

    def _may_record(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._recorded = second, 0
        self._recorded += 1
        return self._recorded <= MOST_SESSIONS

    def finish(self) -> None:
        """Begin to send the rest."""
        self._finishing = threading.Thread(target=self._processor.shutdown, name="otel-end", daemon=True)
        self._finishing.start()

    def wait(self, seconds: float) -> None:
        """Wait until the rest is sent, but no longer than this."""
        if self._finishing is not None:
            self._finishing.join(seconds)

    def abort(self) -> None:
        """Send no more."""
        if self._finishing is not None and self._finishing.is_alive():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]
        self._outcome.close()


class _Watched(SpanExporter):
    """An exporter whose failures are noted."""

    def __init__(self, exporter: SpanExporter, outcome: Outcome) -> None:
        self._exporter = exporter
        self._outcome = outcome

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        self._outcome.note(sent=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Tracer:
    """Our interface over the SDK's."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self, name: str, attributes: Mapping[str, Value] | None = None, carrier: Mapping[str, str] | None = None
    ) -> Iterator[Span]:
        """Record something that lasts as long as the context."""
        served = carrier is not None
        context = self._propagator.extract(carrier, Context()) if carrier is not None else None
        kind = trace.SpanKind.SERVER if served else trace.SpanKind.INTERNAL
        with self._tracer.start_as_current_span(
            # Of an exception the type is enough: its words may have secrets in them.
            name,
            context,
            kind,
            attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            wrapped = _Span(span)
            try:
                yield wrapped
            except BaseException as error:
                wrapped.fail(type(error).__name__)
                raise


class _Span:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def name(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def fail(self, why: str) -> None:
        self._span.set_attribute("error.type", why)
        self._span.set_status(trace.StatusCode.ERROR)
