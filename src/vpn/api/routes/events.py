"""``/api/events``: what happens, as server-sent events."""

from __future__ import annotations

import time
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query, Response

from vpn.api.errors import responses
from vpn.api.events_stream import MEDIA_TYPE, EventStreams, Put
from vpn.api.schemas.live_sessions import LiveQuery, live_fields
from vpn.domain.errors import Invalid
from vpn.services.live_events import LiveEvents, Topic
from vpn.services.session_filter import LiveSession

_TOPICS: tuple[Topic, ...] = get_args(Topic)


class EventQuery(LiveQuery):
    """Which topics, and of which sessions; the order and the limit do not matter here."""

    topics: str = "sessions,counters,telemetry"


def router(events: LiveEvents, streams: EventStreams) -> APIRouter:
    """The stream."""
    router = APIRouter(prefix="/api", tags=["monitoring"])

    answers: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {}}}}

    @router.get("/events", response_class=Response, responses=answers | responses(503))
    async def follow(query: Annotated[EventQuery, Query()]) -> Response:
        """Tell what happens, once a second: sessions that begin, move and end, the counters, what is noteworthy.

        Each event is one JSON object with its `topic`. The first of `sessions` has those that are `live`, the others
        `began`, `updated` and `ended`; of what is too much, `not_told` has the numbers.
        """
        topics, wanted = _topics(query.topics), query.filter()

        def subscribe(put: Put) -> Any:
            return events.subscribe(put, topics, _shown, wanted)

        return streams.answer(subscribe, events.first(topics, _shown, wanted))

    return router


def _topics(text: str) -> list[Topic]:
    said = [each.strip() for each in text.split(",")]
    topics = [topic for topic in _TOPICS if topic in said]
    if unknown := set(said) - set(topics):
        raise Invalid("bad_topic", f"{min(unknown)!r} is not a topic", f"there are {', '.join(_TOPICS)}")
    return topics


def _shown(live: LiveSession) -> dict[str, Any]:
    return live_fields(live, time.time())
