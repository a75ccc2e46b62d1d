"""What is traced, without knowing of OpenTelemetry: where that is off, nothing of it is in memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Value = str | int | float | bool


class Span(Protocol):
    """Something that takes time, while it does."""

    def name(self, name: str) -> None:
        """Call it this, now that more is known."""

    def set(self, name: str, value: Value) -> None:
        """Say something about it."""

    def fail(self, why: str) -> None:
        """It has failed."""


class Tracer(Protocol):
    """Records what happens."""

    def span(
        self, name: str, attributes: Mapping[str, Value] | None = None, carrier: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Span]:
        """Record something that lasts as long as the context; an exception that leaves it is a failure.

        What is recorded inside is part of it.

        Args:
            carrier: headers of a request that came from elsewhere, which it is a part of (``traceparent``); given,
                it is a request that we serve.
        """


class _NoSpan:
    """Takes everything, and keeps nothing."""

    __slots__ = ()

    def name(self, name: str) -> None:
        pass

    def set(self, name: str, value: Value) -> None:
        pass

    def fail(self, why: str) -> None:
        pass


class NoTracer:
    """Records nothing."""

    def span(
        self, name: str, attributes: Mapping[str, Value] | None = None, carrier: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Span]:
        """Do nothing."""
        return nullcontext(_NoSpan())
