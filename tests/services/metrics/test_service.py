import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.support.programs import run_program
from vpn import __version__
from vpn.domain.errors import Unavailable
from vpn.domain.session import Session
from vpn.monitoring.families import FAMILIES
from vpn.services.live_sessions import Change, News
from vpn.services.metrics import service as module
from vpn.services.metrics.service import MetricsService

pytestmark = pytest.mark.anyio
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


@pytest.fixture
def service(sources, plane, monkeypatch):
    monkeypatch.setattr(module, "FRESH", 0.0)
    service = MetricsService(sources)
    service.watch(plane)
    return service


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in read_text(text.decode())
        for sample in family.samples
    }


async def test_the_format_is_the_one_that_is_asked_for(service):
    exposition = await service.expose("")
    assert exposition.media_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# EOF" not in exposition.content
    exposition = await service.expose(OPENMETRICS)
    assert exposition.media_type.startswith("application/openmetrics-text; version=1.0.0")
    assert (await service.expose("application/OpenMetrics-text;version=x.y")).media_type == exposition.media_type
    assert exposition.content.endswith(b"# EOF\n")
    assert [each.name for each in read_openmetrics(exposition.content.decode())] == [each.base for each in FAMILIES]


async def test_promtool_has_nothing_to_say(service):
    done = run_program("promtool", "check", "metrics", stdin=(await service.expose("")).content.decode())
    assert done == (0, "", "")


async def test_figures_come_from_everywhere(service, sources, plane, upstream):
    plane.opened = 5
    plane.reports = [upstream(3, healthy=False)]
    await sources.bans.add("192.0.2.1", seconds=60)
    with pytest.raises(Unavailable):
        await sources.data_plane.reload()
    sources.enforcement.events["warned"] = 2
    found = samples((await service.expose("")).content)
    expected = {
        ("vpn_sessions_started_total",): 5,
        ("vpn_upstream_up", "paris"): 0,
        ("vpn_bans", "source"): 1,
        ("vpn_bans", "user"): 0,
        ("vpn_config_reloads_total", "failed"): 1,
        ("vpn_config_last_reload_successful",): 0,
        ("vpn_quota_events_total", "warned"): 2,
        ("vpn_users",): 0,
        ("vpn_worker_up", "0"): 0,
        ("vpn_inbound_connections", "main"): 0,
        ("vpn_scrapes_total",): 0,
    }
    assert {key: found[key] for key in expected} == expected
    assert any(key[0] == "vpn_build_info" and __version__ in key for key in found)


async def test_thousands_of_users_and_destinations_are_few_series(service, sources):
    sessions = [
        Session(
            n, "main", "192.0.2.1", 1, 1.0, "socks5", f"user{n}", f"host{n}", status="closed", reason="eof", ended=2.0
        )
        for n in range(1, 20_001)
    ]
    sources.tally.hear(News(0, [], [], [Change(each, 1, 1) for each in sessions]))
    found = samples((await service.expose("")).content)
    assert len(found) < 400
    assert found["vpn_user_sessions_total", "other"] == 20_000 - 20
    assert len([key for key in found if key[0] == "vpn_destination_sessions_total"]) == 20 + 1


async def test_who_asks_again_at_once_gets_the_same(service, plane, monkeypatch):
    monkeypatch.setattr(module, "FRESH", 3600)
    first = await service.expose("")
    plane.opened = 5
    assert await service.expose("") is first
    assert b"vpn_sessions_started_total 5" in (await service.expose(OPENMETRICS)).content
    monkeypatch.setattr(module, "FRESH", 0.0)
    assert b"vpn_sessions_started_total 5" in (await service.expose("")).content


async def test_scrapes_are_counted(service):
    await service.expose("")
    found = samples((await service.expose("")).content)
    assert found["vpn_scrapes_total",] == 1
    assert found["vpn_scrape_seconds_total",] > 0


async def test_without_a_data_plane_there_is_the_rest(sources):
    found = samples((await MetricsService(sources).expose("")).content)
    assert found["vpn_sessions_started_total",] == 0
    assert not any(key[0].startswith("vpn_worker") for key in found)
