import msgspec
import pytest

from vpn.monitoring import plane_families as table
from vpn.proxy.counters import LOOKUP_BOUNDS, WorkerCounters, WorkerGauges
from vpn.services.metrics.plane_figures import put_counters, put_inbounds, put_upstreams, put_workers
from vpn.services.metrics.sheet import Sheet
from vpn.services.metrics.sources import WorkerFigures
from vpn.services.metrics.steady import Steady

STATE = WorkerGauges(descriptors=6, loop_lag=0.5, pipes_in_use=3, sessions_waiting=8)


@pytest.fixture
def sheet():
    return Sheet()


def values(sheet, family):
    [metric] = [each for each in sheet.collect() if each.name == family.base]
    return {tuple(sample.labels.values()): sample.value for sample in metric.samples if sample.name == family.name}


def counted():
    names = (
        "accepted_remembered refused_remembered accepted_asked refused_asked refused_unasked sources_banned "
        "users_banned accept_pauses tls_accepted tls_failed allowed_by_rule allowed_by_default blocked_by_rule "
        "blocked_by_default blocked_by_guard refused_by_limits lookups lookups_known lookups_failed shaping_waits "
        "shaping_seconds quota_cuts sessions_lost loop_seconds datagrams_unknown "
        "datagrams_replayed datagrams_dropped"
    )
    numbers = {name: number for number, name in enumerate(names.split(), 1)}
    buckets = [1] * (len(table.LOOKUP_TIMES) + 1)
    return WorkerCounters(
        **numbers | {"lookups": 100, "handshake_errors": {"x": 30}, "lookup_buckets": buckets, "lookup_seconds": 4.5}
    )


def test_lookups_are_counted_by_the_bounds_of_the_table():
    assert table.LOOKUP_TIMES == LOOKUP_BOUNDS


def test_what_workers_count(sheet):
    put_counters(sheet, counted())
    assert values(sheet, table.AUTHENTICATIONS) == {
        ("accepted", "remembered"): 1,
        ("refused", "remembered"): 2,
        ("accepted", "asked"): 3,
        ("refused", "asked"): 4,
        ("refused", "unasked"): 5,
    }
    assert values(sheet, table.ACL_DECISIONS) == {
        ("allow", "rule"): 11,
        ("allow", "default"): 12,
        ("block", "rule"): 13,
        ("block", "default"): 14,
        ("block", "guard"): 15,
        ("block", "limit"): 16,
    }
    assert values(sheet, table.RESOLVER_QUERIES) == {("answered",): 81, ("cached",): 18, ("failed",): 19}
    assert values(sheet, table.BANNED_REFUSALS) == {("source",): 6, ("user",): 7}
    assert values(sheet, table.DATAGRAMS_REFUSED) == {("unknown",): 25, ("replayed",): 26, ("dropped",): 27}
    assert values(sheet, table.TLS_HANDSHAKES) == {("ok",): 9, ("failed",): 10}
    assert values(sheet, table.HANDSHAKE_ERRORS) == {("x",): 30}
    single = (table.ACCEPT_PAUSES, table.SHAPING_WAITS, table.SHAPING_WAITED, table.QUOTA_CUTS, table.JOURNAL_LOST)
    assert [values(sheet, family)[()] for family in (*single, table.LOOPS_BUSY)] == [8, 20, 21, 22, 23, 24]
    [times] = [each for each in sheet.collect() if each.name == table.RESOLVER_TIME.name]
    assert [each.value for each in times.samples if each.name.endswith(("_count", "_sum"))] == [13, 4.5]


def test_upstreams_count_on_when_a_worker_begins_anew(upstream):
    steady = Steady()
    shown = []
    for opened in (5, 9, 4, 6):
        sheet = Sheet()
        put_upstreams(sheet, [upstream(opened)], steady)
        shown.append(values(sheet, table.UPSTREAM_CONNECTIONS)["paris",])
    assert shown == [5, 9, 9, 11]
    assert values(sheet, table.UPSTREAM_UP) == {("paris",): 1}
    assert values(sheet, table.UPSTREAM_IDLE) == {("paris",): 3}


def test_inbounds_and_their_limits(sheet, inbound):
    away = msgspec.structs.replace(inbound, name="away")
    put_inbounds(sheet, {"main": 4}, [inbound, away], {"away": "in use"}, 100)
    assert values(sheet, table.INBOUND_UP) == {("main",): 1, ("away",): 0}
    assert values(sheet, table.INBOUND_CONNECTIONS) == {("main",): 4, ("away",): 0}
    assert values(sheet, table.INBOUND_CONNECTIONS_MAX) == {("main",): 9, ("away",): 9}
    assert values(sheet, table.CONNECTIONS_MAX) == {(): 100}


def test_workers_as_processes(sheet):
    steady = Steady()
    put_workers(Sheet(), [WorkerFigures(number=0, ready=True, restarts=0, active=1, cpu=9.0)], steady)
    put_workers(
        sheet,
        [
            WorkerFigures(number=0, ready=False, restarts=1, active=0),
            WorkerFigures(number=1, ready=True, restarts=0, active=2, memory=5, cpu=1.5, state=STATE),
        ],
        steady,
    )
    assert values(sheet, table.WORKER_UP) == {("0",): 0, ("1",): 1}
    assert values(sheet, table.WORKER_RESTARTS) == {("0",): 1, ("1",): 0}
    assert values(sheet, table.WORKER_CPU) == {("0",): 9.0, ("1",): 1.5}, "what a dead one has used was used"
    assert values(sheet, table.WORKER_MEMORY) == {("1",): 5}
    assert values(sheet, table.WORKER_FDS) == {("1",): 6}
    assert values(sheet, table.WORKER_LAG) == {("1",): 0.5}
    assert values(sheet, table.WORKER_PIPES) == {("1",): 3}
    assert values(sheet, table.WORKER_WAITING) == {("1",): 8}
