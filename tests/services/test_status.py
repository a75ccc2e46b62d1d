import pytest

from vpn.domain.address import Endpoint
from vpn.domain.inbound import Inbound
from vpn.proxy.supervisor import Totals
from vpn.proxy.surroundings import WorkerStatus
from vpn.services.access import Reach
from vpn.services.inbounds import InboundState
from vpn.services.status import StatusService

pytestmark = pytest.mark.anyio
INBOUND = InboundState(
    Inbound("main", "mixed", Endpoint("127.0.0.1", 1080)), Reach("127.0.0.1", 1080, guessed=True), {}
)


class Inbounds:
    in_order = True

    def all(self):
        return [INBOUND]


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
    service = StatusService(store, Inbounds())
    status = await service.status()
    assert (status.healthy, status.workers, status.totals.opened, status.inbounds) == (False, [], 0, [INBOUND])


async def test_healthy_means_that_every_worker_serves_and_every_inbound_is_served(store, users):
    await users.add("alice", "x")
    inbounds = Inbounds()
    service = StatusService(store, inbounds)
    service.watch(Workers(True, True))
    status = await service.status()
    assert (status.healthy, status.users, status.totals) == (True, 1, Totals(10, 2, 3, 4))
    service.watch(Workers(True, False))
    assert not service.healthy
    service.watch(Workers(True, True))
    inbounds.in_order = False
    assert not service.healthy
