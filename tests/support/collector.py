"""An OTLP receiver: decodes what is sent to it, and keeps it."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_REQUESTS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


class Collector:
    """What was received."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        """What it answers with."""
        self.headers: list[dict[str, str]] = []
        self.requests: list[Any] = []
        self.answer = threading.Event()
        """It answers only when this is set."""
        self.answer.set()

    def spans(self, name: str = "") -> list[Any]:
        """All spans, or those of a name."""
        return [
            span
            for request in list(self.requests)
            if isinstance(request, ExportTraceServiceRequest)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
            if not name or span.name == name
        ]

    def metrics(self) -> dict[str, Any]:
        """The newest metrics, by name."""
        return {
            metric.name: metric
            for request in list(self.requests)
            if isinstance(request, ExportMetricsServiceRequest)
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def attributes(thing: Any) -> dict[str, Any]:
    """Attributes of a span, a resource or a data point."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in thing.attributes}


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A receiver on loopback."""
    collector = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.answer.wait(30)
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            if collector.status == 200:
                request = _REQUESTS[self.path]()
                request.ParseFromString(gzip.decompress(body))
                collector.requests.append(request)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield collector
        collector.answer.set()
        server.shutdown()
        thread.join()
