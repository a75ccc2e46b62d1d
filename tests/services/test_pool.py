from vpn.domain.session import Session
from vpn.proxy.control import UpstreamReport
from vpn.services.pool import PoolService
from vpn.settings.proxy import ProxySettings


def test_hits_and_misses_are_told_apart():
    report = UpstreamReport("paris", True, opened=10, reused=4, failed=1, idle=2, evicted=1)
    live = [Session(number, "main", "", 0, 1.0, upstream=name) for number, name in enumerate(["paris", "", "paris"])]
    (pool,) = PoolService(lambda: [report], live, ProxySettings).state().upstreams
    assert (pool.in_use, pool.on_demand) == (2, 3)
    assert pool.report is report
