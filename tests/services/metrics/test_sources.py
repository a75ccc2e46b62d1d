import os
from types import SimpleNamespace

from vpn.proxy.surroundings import WorkerStatus
from vpn.services.metrics.sources import read_counters, read_workers, read_writer


def test_a_plane_may_count_or_not(plane):
    assert read_counters(plane) is None
    plane.counters, plane.gauges = lambda: "counted", lambda: {0: "state"}
    assert read_counters(plane) == "counted"
    assert [each.state for each in read_workers(plane)] == ["state"]


def test_a_writer_may_tell_its_state_or_not():
    assert read_writer(object()) is None
    assert read_writer(SimpleNamespace(state="state")) == "state"


def test_a_worker_is_looked_at_as_a_process(plane):
    plane.workers = [WorkerStatus(number=1, pid=os.getpid(), ready=True, restarts=2, active=3)]
    [figures] = read_workers(plane)
    assert (figures.number, figures.ready, figures.restarts, figures.active) == (1, True, 2, 3)
    assert figures.memory > 1 << 20
    assert figures.cpu > 0


def test_one_that_is_gone_has_no_figures(plane):
    plane.workers = [WorkerStatus(number=1, pid=0, ready=False, restarts=2, active=0)]
    [figures] = read_workers(plane)
    assert (figures.memory, figures.cpu, figures.state) == (None, None, None)
