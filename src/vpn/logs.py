"""The log: structured, to standard error, for people or for programs; and to those who remember it.

Every line is of an area, the name that its logger was made with (``structlog.get_logger("sessions")``), and each
area may have a level of its own. A key that comes too often is held back: after twenty lines of one event in ten
seconds, the next ten seconds' first line says how many were left out. A flood of clients is no flood of lines.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from vpn.services.log_lines import RecentLines
from vpn.services.telemetry import Telemetry
from vpn.settings.logs import LogSettings
from vpn.settings.model import Settings

BURST = 20  # lines of one event ...
WINDOW = 10.0  # ... in as many seconds
MOST_KEYS = 1000  # events that are counted at a time
LIBRARIES = "libraries"
_LONGEST = 500  # characters of one field
_LONGEST_TRACEBACK = 20_000
_TRACEBACKS = ("traceback", "exception")
_MOST_ITEMS = 100  # of one field
_LARGEST = 2**53  # numbers above are written as text: not every reader of JSON has them
_EXEMPT = frozenset({"error", "critical"})
_DEFAULT_AREA = "daemon"
_LEVELS = logging.getLevelNamesMapping()

Listener = Callable[[str, str, str, str, dict[str, Any]], None]
"""Hears a line: its time (ISO 8601, UTC), level, area, event, and the other fields. From any thread; it is quick."""


class Listeners(NamedTuple):
    """Who hears the lines, besides those who read standard error."""

    shown: Listener
    """Hears the lines that are shown."""
    noteworthy: Listener
    """Hears the lines from level info up, of sessions from warning, even where fewer are shown."""


class _Output:
    """Standard error. A disk that is full, or a reader that has gone, stops nobody who has something to say."""

    def __init__(self) -> None:
        self._lost = 0
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        """Print one line, or count it as lost; lines that were lost are told of once there is one that is not."""
        with self._lock:
            try:
                print(line, file=sys.stderr, flush=True)
            except (OSError, ValueError):  # ValueError: it is closed
                self._lost += 1
                return
            lost, self._lost = self._lost, 0
        if lost:
            structlog.get_logger(_DEFAULT_AREA).warning("lines of the log could not be written", lines=lost)


class _Area:
    """What structlog wraps: knows its area, and prints."""

    def __init__(self, output: _Output, area: str = _DEFAULT_AREA) -> None:
        self.area = area
        self._output = output

    def msg(self, message: str) -> None:
        """Print one line."""
        self._output.write(message)

    debug = info = warning = error = critical = log = msg


class Memory(NamedTuple):
    """What is remembered of the log."""

    lines: RecentLines
    events: Telemetry


def remember(settings: Settings) -> Memory:
    """A memory of the size that the settings say, with nothing in it."""
    kept = settings.telemetry
    retention = timedelta(hours=kept.retention_hours)
    return Memory(
        RecentLines(settings.log.keep, time.time()),
        Telemetry(kept.max_events, retention, partial(datetime.now, UTC)),
    )


def apply(settings: LogSettings, memory: Memory) -> None:
    """Log as these settings say, from now on, and into the memory."""
    memory.lines.resize(settings.keep)
    listeners = Listeners(memory.lines.add, memory.events.hear)
    configure(level=settings.level, format=settings.format, levels=settings.levels, listeners=listeners)


def configure(
    *, level: str, format: str, levels: Mapping[Any, str] | None = None, listeners: Listeners | None = None
) -> None:
    """Set up logging for this process, or set it up anew.

    Args:
        level: the least that is logged: debug, info, warning or error.
        format: ``pretty`` or ``json``.
        levels: other levels, by area.
        listeners: who hears the lines, too.
    """
    threshold = _LEVELS[level.upper()]
    thresholds = {LIBRARIES: max(threshold, logging.WARNING)}
    thresholds |= {area: _LEVELS[each.upper()] for area, each in (levels or {}).items()}
    thresholds[LIBRARIES] = max(thresholds[LIBRARIES], logging.INFO)  # what they say below that may have secrets in it
    hear: list[Processor] = []
    if listeners is not None:
        hear = [
            partial(_tell, listeners.noteworthy),
            partial(_gate, threshold, thresholds),
            partial(_tell, listeners.shown),
        ]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _add_area,
            RateLimit(),
            structlog.processors.format_exc_info,
            _bound_fields,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *hear,
            *_rendering(format),
        ],
        wrapper_class=_wrapper(threshold, thresholds, lowered=listeners is not None),
        logger_factory=partial(_Area, _Output()),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_ToStructlog()]
    root.setLevel(thresholds[LIBRARIES])  # libraries are heard when something is wrong


def _rendering(format: str) -> list[Processor]:
    if format == "json":
        return [structlog.processors.JSONRenderer()]
    return [
        _for_people,
        # Not the renderer's default, which prints the local variables of every frame, passwords among them.
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=28, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _wrapper(threshold: int, thresholds: Mapping[str, int], *, lowered: bool) -> Any:
    """What makes a logger of an area: its methods below the area's level do nothing at all."""
    classes: dict[int, Any] = {
        level: structlog.make_filtering_bound_logger(level) for level in sorted(set(_LEVELS.values()))
    }

    def wrap(logger: _Area, processors: Any, context: Any) -> Any:
        level = thresholds.get(logger.area, threshold)
        if lowered:  # of sessions there are thousands in a second
            level = min(level, logging.WARNING if logger.area == "sessions" else logging.INFO)
        return classes[level](logger, processors, context)

    return wrap


def _add_area(logger: _Area, method: str, event_dict: EventDict) -> EventDict:
    event_dict["area"] = logger.area
    return event_dict


def _tell(listener: Listener, logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
    fields = dict(event_dict)
    time, level, area = (str(fields.pop(name)) for name in ("timestamp", "level", "area"))
    listener(time, level, area, str(fields.pop("event", "")), fields)
    return event_dict


def _gate(
    threshold: int, thresholds: Mapping[str, int], logger: WrappedLogger, method: str, event_dict: EventDict
) -> EventDict:
    """Keep lines from being shown that were only for those who hear of what is noteworthy."""
    if _LEVELS[event_dict["level"].upper()] < thresholds.get(event_dict["area"], threshold):
        raise structlog.DropEvent
    return event_dict


class RateLimit:
    """Holds back events that come too often, of each area and event. Errors always pass."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}  # the one that began first is the first
        self._lock = threading.Lock()

    def __call__(self, logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
        """Let a line pass, or raise DropEvent."""
        if method in _EXEMPT:
            return event_dict
        # The sentences of libraries have values in them.
        key = (str(event_dict.get("area")), str(event_dict.get("logger") or event_dict.get("event")))
        with self._lock:
            lines, left_out = self._count(key, time.monotonic())
        if left_out:
            event_dict["left_out"] = left_out
        if lines > BURST:
            raise structlog.DropEvent
        return event_dict

    def _count(self, key: tuple[str, str], now: float) -> tuple[int, int]:
        """Lines of this window with this one, and how many were left out in the one before if this is the first."""
        began, lines = self._windows.get(key, (now, 0))
        left_out = 0
        if now - began > WINDOW:
            del self._windows[key]
            began, lines, left_out = now, 0, max(0, lines - BURST)
        elif not lines and len(self._windows) >= MOST_KEYS:
            del self._windows[next(iter(self._windows))]
        self._windows[key] = (began, lines + 1)
        return lines + 1, left_out


def _bound_fields(logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
    """Fields can come from clients: none makes a line endless, and all can be written as JSON."""
    for key, value in event_dict.items():
        event_dict[key] = _bounded(value, _LONGEST_TRACEBACK if key in _TRACEBACKS else _LONGEST)
    return event_dict


def _bounded(value: Any, longest: int) -> Any:
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < _LARGEST):
        return value
    if isinstance(value, Mapping):
        return {str(key): _bounded(each, longest) for key, each in list(value.items())[:_MOST_ITEMS]}
    if isinstance(value, (list, tuple)):
        return [_bounded(each, longest) for each in value[:_MOST_ITEMS]]
    text = str(value)
    if len(text) > longest:
        text = text[:longest] + "…"
    return text if text.isascii() else text.encode(errors="replace").decode()


def _for_people(logger: WrappedLogger, method: str, event_dict: EventDict) -> EventDict:
    """The area stands where the renderer has the logger's name; and nothing from outside moves the cursor."""
    library = event_dict.pop("logger", "")
    area = event_dict.pop("area", "")
    for key, value in event_dict.items():
        if isinstance(value, str) and not value.isprintable() and key not in _TRACEBACKS:
            event_dict[key] = value.encode("unicode_escape").decode("ascii")
    event_dict["logger"] = library or area
    return event_dict


class _ToStructlog(logging.Handler):
    """What libraries log goes the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        structlog.get_logger(LIBRARIES).log(record.levelno, record.getMessage(), **fields)
