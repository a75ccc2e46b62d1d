import asyncio
import sys
from subprocess import run

import pytest

from tests.services.test_access_lines import session
from tests.support.collector import attributes, running_collector
from tests.support.waiting import until
from vpn.domain.errors import Invalid
from vpn.domain.session import Phase
from vpn.services.figures import Distribution, Figure
from vpn.services.live_sessions import Change, News
from vpn.services.otel import Otel
from vpn.services.tracing import NoTracer
from vpn.settings.otel import OtelSettings

pytestmark = pytest.mark.anyio
BEGAN = 1_767_225_600.0


@pytest.fixture
def collector():
    with running_collector() as collector:
        yield collector


@pytest.fixture
async def make(collector):
    made = []

    def make(**settings):
        otel = Otel(OtelSettings(endpoint=collector.url, sample_ratio=1, timeout=2, **settings))
        made.append(otel)
        return otel

    yield make
    for otel in made:
        await otel.close()


def news(*sessions):
    return News(0, [], [], [Change(each, 0, 0) for each in sessions])


def steps(collector):
    (root,) = [span for span in collector.spans() if not span.parent_span_id]
    below = [span for span in collector.spans() if span.parent_span_id == root.span_id]
    return root, [
        (each.name, round(each.start_time_unix_nano / 1e9 - BEGAN, 3), round(each.end_time_unix_nano / 1e9 - BEGAN, 3))
        for each in sorted(below, key=lambda each: each.end_time_unix_nano)
    ]


async def test_a_session_is_a_tree_of_its_steps(make, collector):
    phases = [
        Phase(name, BEGAN + at)
        for name, at in (
            ("accepted", 0.01),
            ("handshake", 0.1),
            ("authenticated", 0.2),
            ("ruled", 0.25),
            ("resolved", 0.3),
            ("connected", 0.5),
            ("first_byte", 0.7),
            ("ended", 1.5),
        )
    ]
    otel = make()
    otel.hear(news(session(phases=phases, bytes_sent=5)))
    await otel.close()
    root, found = steps(collector)
    assert found == [
        ("accept", 0.0, 0.01),
        ("handshake", 0.01, 0.1),
        ("auth", 0.1, 0.2),
        ("rule", 0.2, 0.25),
        ("resolve", 0.25, 0.3),
        ("connect", 0.3, 0.5),
        ("relay", 0.5, 1.5),
    ]
    (relay,) = collector.spans("relay")
    assert [(event.name, event.time_unix_nano) for event in relay.events] == [("first_byte", int((BEGAN + 0.7) * 1e9))]
    said = attributes(root)
    assert said["session.id"] == "0000000000001234"
    assert (said["client.address"], said["client.port"]) == ("192.0.2.1", 5000)
    assert (said["server.address"], said["server.port"]) == ("example.com", 443)
    assert said["network.transport"] == "tcp"
    assert said["user.name"] == "alice"
    assert said["vpn.bytes_sent"] == 5
    assert "vpn.upstream" not in said
    assert root.status.code == 0


async def test_a_session_that_failed_on_its_way_under_a_clock_that_is_set_back(make, collector):
    phases = [Phase("handshake", BEGAN + 0.5), Phase("authenticated", BEGAN - 100), Phase("unheard_of", BEGAN)]
    otel = make()
    otel.hear(news(session(phases=phases, status="failed", reason="refused", host="a\udcff")))
    await otel.close()
    root, found = steps(collector)
    assert found == [("handshake", 0.0, 0.5), ("auth", 0.5, 0.5)]
    assert root.status.code == 2
    assert attributes(root)["error.type"] == "refused"
    assert attributes(root)["server.address"] == "a?"


async def test_as_many_sessions_are_traced_as_are_to_be(make, collector, monkeypatch):
    monkeypatch.setattr("vpn.services.otel_traces.MOST_SESSIONS", 50)
    monkeypatch.setattr("time.monotonic", lambda: 100.0)
    otel = make()
    otel.hear(news(*(session(id=number, phases=[]) for number in range(1, 1000)), session()))
    monkeypatch.undo()
    await otel.close()
    assert len(collector.spans()) == 50


async def test_what_lasts_is_recorded_with_what_is_inside(make, collector):
    otel = make()
    with pytest.raises(RuntimeError), otel.tracer.span("outer", {"a": 1}) as outer:
        outer.set("b", "x")
        with otel.tracer.span("inner"):
            raise RuntimeError("a " + "secret")
    await otel.close()
    (outer,), (inner,) = collector.spans("outer"), collector.spans("inner")
    assert inner.parent_span_id == outer.span_id
    assert attributes(outer) == {"a": 1, "b": "x", "error.type": "RuntimeError"}
    assert outer.status.code == inner.status.code == 2
    assert "secret" not in str(collector.spans())


async def test_figures_are_sent(make, collector):
    figures = [
        Figure("sessions", "counter", "{session}", "Sessions.", [({"inbound": "a"}, 3), ({"inbound": "b"}, 4.5)]),
        Figure("active", "gauge", "", "", [({}, 7)]),
        Figure("duration", "histogram", "s", "", [({}, Distribution([1, 10], [2, 1, 0], 8.5))]),
    ]

    async def source():
        return figures

    otel = make(interval=0.01, traces=False)
    task = asyncio.create_task(otel.run(source))
    await asyncio.to_thread(until, collector.metrics)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await otel.close()
    found = collector.metrics()
    points = found["sessions"].sum.data_points
    assert [(attributes(point)["inbound"], point.as_int or point.as_double) for point in points] == [
        ("a", 3),
        ("b", 4.5),
    ]
    assert found["sessions"].sum.is_monotonic
    assert found["active"].gauge.data_points[0].as_int == 7
    (spread,) = found["duration"].histogram.data_points
    assert (list(spread.bucket_counts), list(spread.explicit_bounds)) == ([2, 1, 0], [1, 10])
    assert (spread.count, spread.sum, spread.min, spread.max) == (3, 8.5, 0, 10)


async def test_headers_come_from_a_file_too(make, collector, tmp_path):
    (tmp_path / "headers").write_text("X-Scope=me\nauthorization=Bearer a=b\n")
    otel = make(headers="x-one=1", headers_file=tmp_path / "headers")
    otel.hear(news(session(phases=[])))
    await otel.close()
    sent = collector.headers[0]
    assert (sent["x-one"], sent["x-scope"], sent["authorization"]) == ("1", "me", "Bearer a=b")


async def test_files_that_cannot_be_used_are_said_at_the_start(make, tmp_path):
    (tmp_path / "bad").write_bytes(b"\xff no header")
    for fields in (
        {"headers_file": tmp_path / "none"},
        {"headers_file": tmp_path / "bad"},
        {"ca_file": tmp_path / "none"},
        {"ca_file": tmp_path / "bad"},
    ):
        with pytest.raises(Invalid, match="otel"):
            make(**fields)


async def test_off_is_nothing():
    otel = Otel(OtelSettings())
    assert otel.tracer is None
    otel.hear(news(session()))
    await otel.run(list)
    await otel.close()
    with NoTracer().span("x") as span:
        span.set("a", 1)


def test_where_it_is_off_none_of_its_code_is_in_memory():
    heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf", "requests")
    check = f"import sys, vpn.daemon; print([name for name in sys.modules if name.startswith({heavy})])"
    done = run([sys.executable, "-c", check], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"
