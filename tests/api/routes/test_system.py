from datetime import datetime

import pytest

from vpn.api import in_process

pytestmark = pytest.mark.anyio


async def test_without_a_data_plane_nothing_is_live_and_nothing_ready(call):
    assert await call("GET", "/api/sessions/active") == (200, [])
    status, ready = await call("GET", "/ready")
    assert (status, ready["ready"]) == (503, False)
    assert ready["parts"]["workers"] == {"state": "failed", "detail": "nothing is served"}
    assert ready["parts"]["database"]["state"] == "ok"
    assert (await call("POST", "/api/sessions/terminate", {"user": "alice"}))[1]["code"] == "not_serving"


async def test_resources_have_the_fields_that_clients_know(call):
    _, found = await call("GET", "/api/system/resources")
    known = {"system_cpu_percent", "system_ram_percent", "system_ram_total_bytes", "system_ram_used_bytes"}
    known |= {"process_cpu_percent", "process_ram_bytes", "load_average_1m"}
    assert known <= set(found)
    assert 0 < found["system_ram_percent"] < 100
    assert found["process_ram_bytes"] == found["daemon"]["ram_bytes"] > 0


async def test_the_pool_has_the_fields_that_clients_know(call):
    _, found = await call("GET", "/api/pool/stats")
    known = {"enabled", "total_idle", "active_in_use", "destinations", "total_created", "total_reused", "pool_hits"}
    known |= {"pool_misses", "evicted", "hit_rate", "config", "destinations_breakdown"}
    assert known <= set(found)
    assert (found["enabled"], found["hit_rate"]) == (False, 0.0)
    assert set(found["config"]) == {
        "enabled",
        "max_idle_per_dest",
        "max_total_idle",
        "idle_timeout_secs",
        "connect_timeout_ms",
    }


async def test_history_is_a_list_of_points(app, call, monitoring):
    assert await call("GET", "/api/metrics/history") == (200, [])
    monitoring.history.add(monitoring._point())
    _, (point,) = await call("GET", "/api/metrics/history?minutes=5&points=10")
    assert datetime.fromisoformat(point["timestamp"]).tzinfo is not None
    assert (point["active_sessions"], point["total_sessions"], point["bandwidth"]) == (0, 0, 0)
    assert point["memory"] > 0
    for query in ("minutes=0", "hours=999", "points=0"):
        assert (await call("GET", f"/api/metrics/history?{query}"))[0] == 422


async def test_all_at_a_glance(call):
    _, found = await call("GET", "/api/overview")
    assert (found["status"], found["workers"], found["users"], found["refusals"]) == ("degraded", [], [], [])
    assert found["counters"]["session_rate"] == 0
    assert (await call("GET", "/api/overview?order=colour"))[0] == 422


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"address": "", "port": 1},
        {"address": "a.test", "port": 0},
        {"address": "a.test", "port": 1, "timeout_ms": 30001},
        {"address": "a.test", "port": 1, "more": 1},
    ],
)
async def test_what_to_reach_is_checked(call, body):
    assert (await call("POST", "/api/diagnostics/connectivity", body))[0] == 422


async def test_what_clients_may_not_reach_is_not_tried(call):
    _, answer = await call("POST", "/api/diagnostics/connectivity", {"address": "127.0.0.1", "port": 22})
    assert (answer["success"], answer["error"], answer["latency_ms"]) == (False, "loopback_destination", None)
    assert (answer["address"], answer["port"]) == ("127.0.0.1", 22)


async def test_health_answers_head(app):
    assert (await in_process.call(app, "HEAD", "/health", b""))[0] == 200
    assert (await in_process.call(app, "HEAD", "/ready", b""))[0] == 503
