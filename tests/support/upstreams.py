"""Parent proxies for tests: our own data plane as one, and raw ones that misbehave."""

from __future__ import annotations

from typing import Any

from tests.support.plane import PASSWORD, Plane, snapshot
from vpn.domain.address import Endpoint
from vpn.domain.egress import Choice, Pool, Route, Upstream


def upstream(name: str, port: int, **fields: Any) -> Upstream:
    """An upstream on this machine, where we are alice."""
    made = {"protocol": "socks5", "user": "alice", "password": PASSWORD} | fields
    return Upstream(name=name, address=Endpoint("127.0.0.1", port), **made)


def route(*names: str, **fields: Any) -> Route:
    """A route through these, each as likely."""
    return Route(upstreams=tuple(Choice(name) for name in names), **fields)


def go_through(
    plane: Plane, *upstreams: Upstream, routes: tuple[Route, ...] = (), pool: Pool | None = None, **egress: Any
) -> None:
    """Let everything go out through the first of these, unless there are routes."""
    made = snapshot(
        2,
        upstreams=upstreams,
        routes=routes or (route(upstreams[0].name),),
        pool=pool or Pool(),
        **egress,
    )
    plane.do(lambda: plane.core.apply(made) or True)
