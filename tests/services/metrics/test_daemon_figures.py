import os

import pytest

from vpn.monitoring import daemon_families as table
from vpn.monitoring.plane_families import CERTIFICATE_EXPIRY
from vpn.services.data_plane import Reloads
from vpn.services.metrics import daemon_figures as figures
from vpn.services.metrics.facts import Facts
from vpn.services.metrics.histogram import Histogram
from vpn.services.metrics.sheet import Sheet
from vpn.services.session_writer import WriterState


@pytest.fixture
def sheet():
    return Sheet()


def values(sheet, family):
    [metric] = [each for each in sheet.collect() if each.name == family.base]
    return {tuple(sample.labels.values()): sample.value for sample in metric.samples if sample.name == family.name}


def test_the_process(sheet):
    figures.put_process(sheet, 123.0, Histogram(table.LAGS))
    assert values(sheet, table.DAEMON_START) == {(): 123.0}
    assert values(sheet, table.DAEMON_MEMORY)[()] > 1 << 20
    assert 0 < values(sheet, table.DAEMON_FDS)[()] <= values(sheet, table.FDS_MAX)[()]
    assert values(sheet, table.DAEMON_CPU)[()] <= sum(os.times()[:2]) + 1
    assert set(values(sheet, table.GC_COLLECTIONS)) == {("0",), ("1",), ("2",)}


def test_the_writer(sheet):
    state = WriterState(
        waiting=1,
        spilled=2,
        spilled_bytes=3,
        lost=4,
        written=8,
        batches=5,
        last_seconds=6.0,
        total_seconds=7.0,
        failing=False,
    )
    figures.put_writer(sheet, state)
    families = (
        table.WRITER_QUEUE,
        table.WRITER_SPILLED,
        table.WRITER_SPILL,
        table.WRITER_LOST,
        table.WRITER_BATCHES,
        table.WRITER_LAST,
        table.WRITER_TIME,
    )
    assert [values(sheet, family)[()] for family in families] == [1, 2, 3, 4, 5, 6.0, 7.0]


def test_what_had_to_be_asked_for(sheet):
    figures.put_facts(sheet, Facts(users=3, disk_free=5, expiries={"tls": 99.0}))
    assert values(sheet, table.USERS) == {(): 3}
    assert values(sheet, table.GROUPS) == {}, "it was not found out"
    assert values(sheet, table.DISK_FREE) == {(): 5}
    assert values(sheet, CERTIFICATE_EXPIRY) == {("tls",): 99.0}


def test_standings_bans_and_reloads(sheet):
    figures.put_standings(sheet, {"over_quota": 2}, 1, {"warned": 3, "reached": 4})
    figures.put_bans(sheet, {"source": 5})
    figures.put_reloads(sheet, Reloads(succeeded=6, failed=7, in_order=False))
    assert values(sheet, table.USERS_BLOCKED) == {("over_quota",): 2}
    assert values(sheet, table.USERS_WARNED) == {(): 1}
    assert values(sheet, table.QUOTA_EVENTS) == {("warned",): 3, ("reached",): 4}
    assert values(sheet, table.BANS) == {("source",): 5}
    assert values(sheet, table.RELOADS) == {("ok",): 6, ("failed",): 7}
    assert values(sheet, table.RELOAD_OK) == {(): 0}
