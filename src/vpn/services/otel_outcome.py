"""What becomes of telemetry that is sent: one line when it fails, and one when it goes well again."""

from __future__ import annotations

import logging
import threading

import structlog


class Outcome:
    """Keeps what OpenTelemetry's own code says to itself, and says what matters.

    Args:
        what: ``traces`` or ``metrics``.
    """

    def __init__(self, what: str, endpoint: str) -> None:
        self._what = what
        self._endpoint = endpoint
        self._failing = False
        self._lock = threading.Lock()
        self._reasons = _Reasons()
        logger = logging.getLogger("opentelemetry")  # it says the same thing for every batch
        logger.propagate = False
        logger.addHandler(self._reasons)

    def note(self, *, sent: bool) -> None:
        """A batch was sent, or it was not."""
        with self._lock:
            changed, self._failing = self._failing is sent, not sent
        log = structlog.get_logger("otel")
        if changed and not sent:
            log.warning("telemetry cannot be sent", what=self._what, endpoint=self._endpoint, reason=self._reasons.last)
        elif changed:
            log.info("telemetry is sent again", what=self._what)

    def close(self) -> None:
        """Listen no more."""
        logging.getLogger("opentelemetry").removeHandler(self._reasons)


class _Reasons(logging.Handler):
    """Remembers the last thing that was said."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()
