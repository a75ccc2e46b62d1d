"""Traces and metrics of a real daemon, as a collector receives them."""

import json
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.support.collector import attributes, running_collector
from tests.support.curl import curl
from tests.support.daemon import running_daemon
from tests.support.waiting import until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def settings(collector, **more):
    return {
        "VPN_OTEL__ENDPOINT": collector.url,
        "VPN_OTEL__HEADERS": "authorization=Bearer collector-secret",
        "VPN_OTEL__SAMPLE_RATIO": "1",
        "VPN_OTEL__INTERVAL": "0.2",
    } | more


def fetch(daemon, web):
    done = curl("-x", f"socks5h://alice:s3cret@127.0.0.1:{daemon.port}", f"http://127.0.0.1:{web}/")
    assert done.code == 0, done


def call(daemon, path, method="GET", body=None, **headers):
    token = (daemon.data_dir / "api-token").read_text().strip()
    request = urllib.request.Request(
        f"{daemon.api}{path}", method=method, data=body, headers={"Authorization": f"Bearer {token}"} | headers
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def started(collector):
    metric = collector.metrics().get("vpn_sessions_started")
    return sum(point.as_int or point.as_double for point in metric.sum.data_points) if metric is not None else 0


def sums(collector):
    """The counters that were received last, over all their labels."""
    return {
        name: sum(point.as_int or point.as_double for point in metric.sum.data_points)
        for name, metric in collector.metrics().items()
        if metric.HasField("sum")
    }


def scraped(daemon):
    """The same, from /metrics."""
    token = (daemon.data_dir / "api-token").read_text().strip()
    request = urllib.request.Request(f"{daemon.api}/metrics", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        each.name: sum(sample.value for sample in each.samples if sample.name == f"{each.name}_total")
        for each in families
        if each.type == "counter"
    }


def test_requests_policies_batches_and_sessions(data_dir, web):
    with running_collector() as collector, running_daemon(data_dir, **settings(collector)) as daemon:
        daemon.add_user("alice")
        fetch(daemon, web)
        call(daemon, "/api/users/alice", traceparent=f"00-{TRACE}-{PARENT}-01")
        policy = json.dumps({"document": {"default": "allow"}, "author": "me"}).encode()
        call(daemon, "/api/policy", "PUT", policy, **{"Content-Type": "application/json"})
        until(lambda: collector.spans("session socks5") and collector.spans("sessions.write"))
        until(lambda: collector.spans("GET /api/users/{name}") and collector.spans("PUT /api/policy"))
        until(lambda: started(collector) > 0)
        daemon.stop()
        assert "telemetry cannot be sent" not in daemon.err
        assert "collector-secret" not in daemon.err + daemon.out

    (served,) = collector.spans("GET /api/users/{name}")
    assert (served.trace_id.hex(), served.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(served)["http.response.status_code"] == 200
    assert attributes(served)["http.route"] == "/api/users/{name}"

    (put,) = collector.spans("PUT /api/policy")
    assert put.span_id in [span.parent_span_id for span in collector.spans("policy.compile")]

    (session,) = collector.spans("session socks5")
    said = attributes(session)
    assert (said["user.name"], said["server.port"], said["vpn.status"]) == ("alice", web, "closed")
    steps = {span.name for span in collector.spans() if span.parent_span_id == session.span_id}
    assert {"handshake", "auth", "connect", "relay"} <= steps
    assert session.end_time_unix_nano > session.start_time_unix_nano
    assert collector.metrics()["vpn_sessions_started"].sum.is_monotonic
    assert len(collector.metrics()) > 20
    assert all(headers["authorization"] == "Bearer collector-secret" for headers in collector.headers)
    resource = collector.requests[0]
    kind = "resource_spans" if hasattr(resource, "resource_spans") else "resource_metrics"
    assert attributes(getattr(resource, kind)[0].resource)["service.name"] == "vpn-manager"


def test_what_is_sent_is_what_is_served_and_is_sent_where_nothing_is_served(data_dir, web):
    with running_collector() as collector, running_daemon(data_dir, **settings(collector)) as daemon:
        daemon.add_user("alice")
        for _ in range(3):
            fetch(daemon, web)
        until(lambda: sums(collector).get("vpn_sessions_ended") == 3)
        names = ("vpn_sessions_started", "vpn_sessions_ended", "vpn_traffic_bytes", "vpn_authentications")
        served = scraped(daemon)
        assert served["vpn_traffic_bytes"] > 0
        until(lambda: [sums(collector).get(name) for name in names] == [served[name] for name in names])
    with (
        running_collector() as collector,
        running_daemon(data_dir, **settings(collector, VPN_METRICS__ENABLED="false")) as daemon,
    ):
        fetch(daemon, web)
        until(lambda: sums(collector).get("vpn_sessions_ended") == 1)


def test_a_collector_that_is_down_is_said_once_and_hurts_nobody(data_dir, web):
    with running_collector() as collector:
        collector.status = 401
        with running_daemon(data_dir, **settings(collector)) as daemon:
            daemon.add_user("alice")
            for _ in range(3):
                fetch(daemon, web)
            daemon.wait_for('"traces".*telemetry cannot be sent', "err")
            daemon.wait_for('"metrics".*telemetry cannot be sent', "err")
            seen = len(collector.headers)
            until(lambda: len(collector.headers) > seen + 3)
            assert daemon.err.count("telemetry cannot be sent") == 2
            assert "401" in daemon.err or "Unauthorized" in daemon.err
            collector.status = 200
            daemon.wait_for('"metrics".*telemetry is sent again', "err")
            fetch(daemon, web)
            until(lambda: collector.spans("session socks5"))
            assert "collector-secret" not in daemon.err


def test_a_collector_that_hangs_delays_the_end_no_longer_than_is_allowed(data_dir, web):
    with running_collector() as collector:
        collector.answer.clear()
        with running_daemon(data_dir, **settings(collector)) as daemon:
            daemon.add_user("alice")
            fetch(daemon, web)
            assert daemon.stop() == 0
            assert "stopped" in daemon.err
            assert "Traceback" not in daemon.err
