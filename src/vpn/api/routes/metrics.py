"""``/metrics``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import PlainTextResponse

from vpn.services.metrics.service import MetricsService

PATH = "/metrics"
_FORMATS = {
    "text/plain": {"schema": {"type": "string"}},
    "application/openmetrics-text": {"schema": {"type": "string"}},
}


def router(metrics: MetricsService) -> APIRouter:
    """For Prometheus and its like."""
    router = APIRouter(tags=["status"])

    @router.get(PATH, response_class=PlainTextResponse, responses={200: {"content": _FORMATS}})
    async def show_metrics(accept: Annotated[str, Header(include_in_schema=False)] = "") -> Response:
        """Everything that is measured, at one moment: in Prometheus' text format, or in OpenMetrics if that is asked
        for. With `metrics.public` it is open to all."""
        exposition = await metrics.expose(accept)
        return Response(exposition.content, media_type=exposition.media_type)

    return router
