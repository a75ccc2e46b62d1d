"""The log: structured, to standard error, for people or for programs.

A key that comes too often is held back: after twenty lines of one event in ten seconds, the next ten
seconds' first line says how many were left out. A flood of clients is no flood of lines.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

BURST = 20  # lines of one event ...
WINDOW = 10.0  # ... in as many seconds
_LONGEST = 500  # characters of one field
_EXEMPT = frozenset({"error", "critical"})


def configure(*, level: str, format: str) -> None:
    """Set up logging for this process.

    Args:
        level: the least that is logged: debug, info, warning or error.
        format: ``pretty`` or ``json``.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if format == "json"
        # Not the renderer's default, which prints the local variables of every frame, passwords among them.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=28, exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            RateLimit(),
            _bound_fields,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if format == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(max(threshold, logging.WARNING))  # libraries are heard when something is wrong


class RateLimit:
    """Holds back events that come too often. Errors always pass."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}

    def __call__(self, logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        """Let a line pass, or raise DropEvent."""
        if method in _EXEMPT:
            return event_dict
        event = str(event_dict.get("event"))
        now = time.monotonic()
        began, lines = self._windows.get(event, (now, 0))
        if now - began > WINDOW:
            if lines > BURST:
                event_dict["left_out"] = lines - BURST
            began, lines = now, 0
        self._windows[event] = (began, lines + 1)
        if lines >= BURST:
            raise structlog.DropEvent
        return event_dict


def _bound_fields(logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
    """Fields can come from clients: none makes a line endless."""
    for key, value in event_dict.items():
        if isinstance(value, str) and len(value) > _LONGEST and key != "traceback":
            event_dict[key] = value[:_LONGEST] + "…"
    return event_dict


class _ToStructlog(logging.Handler):
    """What libraries log goes the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        structlog.get_logger().log(record.levelno, record.getMessage(), **fields)
