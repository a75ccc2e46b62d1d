import pytest

from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.proxy.supervisor import Totals
from vpn.proxy.surroundings import WorkerStatus
from vpn.services.status import StatusService

pytestmark = pytest.mark.anyio
INBOUND = Inbound("main", "mixed", Endpoint("127.0.0.1", 1080))


class Workers:
    def __init__(self, *ready):
        self.ready = ready

    def status(self):
        return [WorkerStatus(number, 100 + number, ready, 0, 1) for number, ready in enumerate(self.ready)]

    def upstreams(self):
        return []

    def totals(self):
        return Totals(10, 2, 3, 4)


async def test_without_a_data_plane_nothing_is_served(store):
    service = StatusService(store, lambda: [INBOUND])
    status = await service.status()
    assert (status.healthy, status.workers, status.totals.opened, status.inbounds) == (False, [], 0, [INBOUND])


async def test_healthy_means_that_every_worker_serves(store, users):
    await users.add("alice", "x")
    service = StatusService(store, lambda: [INBOUND])
    service.watch(Workers(True, True))
    status = await service.status()
    assert (status.healthy, status.users, status.totals) == (True, 1, Totals(10, 2, 3, 4))
    service.watch(Workers(True, False))
    assert not service.healthy
