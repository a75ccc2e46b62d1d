"""The connections to upstreams that are made before they are needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import msgspec

from vpn.domain.session import Session
from vpn.proxy.control import UpstreamReport
from vpn.settings.proxy import ProxySettings


class UpstreamPool(msgspec.Struct, frozen=True):
    """Of one upstream, over all workers, since they started."""

    report: UpstreamReport
    in_use: int
    """Live sessions that go through it."""
    on_demand: int
    """Connections that had to be made while a client waited."""


class PoolState(msgspec.Struct, frozen=True):
    """Of all upstreams, and the settings."""

    upstreams: list[UpstreamPool]
    settings: ProxySettings


class PoolService:
    """Knows how the pools are."""

    def __init__(
        self,
        reports: Callable[[], Sequence[UpstreamReport]],
        live: Iterable[Session],
        proxy: Callable[[], ProxySettings],
    ) -> None:
        self._reports = reports
        self._live = live
        self._proxy = proxy

    def state(self) -> PoolState:
        """How they are now."""
        used = Counter(session.upstream for session in self._live if session.upstream)
        pools = [UpstreamPool(each, used[each.name], _on_demand(each)) for each in self._reports()]
        return PoolState(pools, self._proxy())


def _on_demand(report: UpstreamReport) -> int:
    """All that were made, but for those that were made in advance: used, waiting, or closed unused."""
    return max(0, report.opened - report.reused - report.idle - report.evicted)
