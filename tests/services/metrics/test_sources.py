import os

from vpn.proxy.counters import WorkerGauges
from vpn.proxy.surroundings import WorkerStatus
from vpn.services.metrics.sources import read_workers


def test_a_worker_is_looked_at_as_a_process(plane):
    plane.workers = [WorkerStatus(number=1, pid=os.getpid(), ready=True, restarts=2, active=3)]
    plane.states = {1: WorkerGauges(descriptors=6)}
    [figures] = read_workers(plane)
    assert (figures.number, figures.ready, figures.restarts, figures.active) == (1, True, 2, 3)
    assert figures.memory > 1 << 20
    assert figures.cpu > 0
    assert figures.state.descriptors == 6


def test_one_that_is_gone_has_no_figures(plane):
    plane.workers = [WorkerStatus(number=1, pid=0, ready=False, restarts=2, active=0)]
    [figures] = read_workers(plane)
    assert (figures.memory, figures.cpu, figures.state) == (None, None, None)
