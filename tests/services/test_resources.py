import os
import subprocess
import sys
import time

import pytest

from tests.support.clock import Clock
from vpn.services.resources import FRESH, Resources


@pytest.fixture
def clock():
    return Clock()


def test_this_machine_and_this_process(tmp_path, clock):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        try:
            use = Resources(tmp_path, lambda: [child.pid], clock).sample()
        finally:
            child.communicate()
    assert use.daemon.pid == os.getpid()
    assert use.daemon.memory > 10_000_000
    assert use.daemon.descriptors > 2
    assert [each.pid for each in use.workers] == [child.pid]
    assert use.memory == use.daemon.memory + use.workers[0].memory
    assert 0 < use.memory_used < use.memory_total
    assert 0 < use.disk_free <= use.disk_total
    assert use.cores >= 1


def test_cpu_is_what_was_used_since_the_sample_before(tmp_path, clock):
    resources = Resources(tmp_path, list, clock)
    assert resources.sample().daemon.cpu_percent == 0.0
    began = time.process_time()
    while time.process_time() - began < 0.2:
        pass
    clock.now += 2
    assert 5 < resources.sample().daemon.cpu_percent < 100


def test_a_sample_serves_for_a_moment(tmp_path, clock):
    resources = Resources(tmp_path, list, clock)
    first = resources.sample()
    assert resources.sample() is first
    clock.now += FRESH
    assert resources.sample() is not first


def written(proc, pid, ticks, pages):
    (proc / str(pid) / "fd").mkdir(parents=True, exist_ok=True)
    before = " ".join(["S"] + ["0"] * 10)
    (proc / str(pid) / "stat").write_text(f"{pid} (a (b) c) {before} {ticks} 0 {'0 ' * 8}{pages} 0")


def test_what_the_kernel_tells_is_read_right(tmp_path, clock):
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n")
    (tmp_path / "stat").write_text("cpu 100 0 100 700 100 0 0 0 0 0\n")
    written(tmp_path, os.getpid(), 100, 10)
    written(tmp_path, 4711, 0, 5)
    resources = Resources(tmp_path, lambda: [4711, 4712], clock, tmp_path)
    use = resources.sample()
    assert (use.cpu_percent, use.memory_total, use.memory_used) == (20.0, 1_024_000, 409_600)
    assert [each.pid for each in use.workers] == [4711], "the other one has ended"
    written(tmp_path, 4711, os.sysconf("SC_CLK_TCK") * 3, 5)
    (tmp_path / "stat").write_text("cpu 200 0 100 700 100 0 0 0 0 0\n")
    clock.now += 2
    use = resources.sample()
    assert (use.cpu_percent, use.workers[0].cpu_percent, use.process_cpu_percent) == (100.0, 150.0, 150.0)
    assert use.workers[0].memory == 5 * os.sysconf("SC_PAGE_SIZE")


def test_descriptors_that_are_hidden_are_not_told(tmp_path, clock):
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 600 kB\n")
    (tmp_path / "stat").write_text("cpu 100 0 100 700 100 0 0 0 0 0\n")
    written(tmp_path, os.getpid(), 1, 1)
    (tmp_path / str(os.getpid()) / "fd").rmdir()
    assert Resources(tmp_path, list, clock, tmp_path).sample().daemon.descriptors is None
