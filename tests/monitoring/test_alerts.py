"""Every alert is shown to fire when it should, and only then, by Prometheus' own rule tester."""

import json

import pytest

from tests.support.programs import run_program
from vpn.monitoring.alerts import alerts, rules_text

NOW = 30 * 60  # seconds since 1970, in the tester's world, when it is asked
DAY = 86400
GIB = 1024**3

WORKER = 'vpn_worker_up{job="vpn", instance="a", worker="1"}'
EXPIRY = 'vpn_certificate_expiry_timestamp_seconds{job="vpn", instance="a", inbound="main"}'
MAX = 'vpn_connections_max{job="vpn", instance="a"}'
INBOUND = 'vpn_inbound_connections{job="vpn", instance="a", inbound="main"}'
INBOUND_MAX = 'vpn_inbound_connections_max{job="vpn", instance="a", inbound="main"}'


def ended(status, reason="x"):
    labels = f'job="vpn", instance="a", inbound="main", protocol="socks5", status="{status}", reason="{reason}"'
    return f"vpn_sessions_ended_total{{{labels}}}"


def rejected(reason):
    return f'vpn_sessions_rejected_total{{job="vpn", instance="a", inbound="main", reason="{reason}"}}'


def plain(name, **labels):
    inner = ", ".join(f'{key}="{value}"' for key, value in {"job": "vpn", "instance": "a", **labels}.items())
    return f"{name}{{{inner}}}"


def lags(slow):
    """The buckets of an event loop that is looked at twice a second, and is slow in a share of these."""
    return {
        plain("vpn_daemon_loop_lag_seconds_bucket", le="0.25"): f"0+{120 * (1 - slow):.0f}x60",
        plain("vpn_daemon_loop_lag_seconds_bucket", le="1.0"): "0+120x60",
        plain("vpn_daemon_loop_lag_seconds_bucket", le="+Inf"): "0+120x60",
    }


# What each alert is about: series with which it fires, and series with which it does not. A minute is between two
# values, and "0+60x60" grows by one in a second.
CASES = {
    "VpnDaemonDown": ({plain("up"): "0x60"}, {plain("up"): "1x60"}),
    "VpnWorkerDown": ({WORKER: "0x60"}, {WORKER: "1 0 1 0 1x60"}),
    "VpnWorkerRestarts": (
        {plain("vpn_worker_restarts_total", worker="1"): "0x20 1 2 3 4x60"},
        {plain("vpn_worker_restarts_total", worker="1"): "7x20 8x60"},
    ),
    "VpnConfigReloadFailed": (
        {plain("vpn_config_last_reload_successful"): "0x60"},
        {plain("vpn_config_last_reload_successful"): "1x60"},
    ),
    "VpnCertificateExpiresSoon": ({EXPIRY: f"{NOW + 13 * DAY}x60"}, {EXPIRY: f"{NOW + 15 * DAY}x60"}),
    "VpnCertificateExpires": ({EXPIRY: f"{NOW + DAY}x60"}, {EXPIRY: f"{NOW + 13 * DAY}x60"}),
    "VpnInboundDown": (
        {plain("vpn_inbound_up", inbound="side"): "0x60"},
        {plain("vpn_inbound_up", inbound="side"): "1x60"},
    ),
    "VpnUpstreamDown": (
        {plain("vpn_upstream_up", upstream="paris"): "0x60"},
        {plain("vpn_upstream_up", upstream="paris"): "1x60"},
    ),
    "VpnManyRejections": (
        {rejected("blocked_by_rule"): "0+120x60", ended("rejected_by_acl"): "0+120x60", ended("closed"): "0+60x60"},
        {rejected("blocked_by_rule"): "0+120x60", ended("rejected_by_acl"): "0+120x60", ended("closed"): "0+180x60"},
    ),
    "VpnManyErrors": (
        {ended("failed"): "0+90x60", ended("closed"): "0+60x60"},
        {ended("failed"): "0+30x60", ended("closed"): "0+1x60"},
    ),
    "VpnPasswordGuessing": (
        {rejected("authentication_failed"): "0+600x60", ended("closed"): "0+6000x60"},
        {rejected("authentication_failed"): "0+60x60", ended("closed"): "0+6000x60"},
    ),
    "VpnNamesNotResolved": (
        {
            plain("vpn_resolver_queries_total", outcome="failed"): "0+120x60",
            plain("vpn_resolver_queries_total", outcome="answered"): "0+60x60",
        },
        {
            plain("vpn_resolver_queries_total", outcome="failed"): "0+120x60",
            plain("vpn_resolver_queries_total", outcome="answered"): "0+180x60",
        },
    ),
    "VpnConnectionsNearLimit": ({MAX: "100x60", INBOUND: "95x60"}, {MAX: "0x60", INBOUND: "95x60"}),
    "VpnInboundConnectionsNearLimit": (
        {INBOUND_MAX: "100x60", INBOUND: "95x60"},
        {INBOUND_MAX: "100x60", INBOUND: "85x60"},
    ),
    "VpnUsersOverQuota": (
        {plain("vpn_users_blocked", reason="over_quota"): "1x60"},
        {plain("vpn_users_blocked", reason="user_disabled"): "1x60"},
    ),
    "VpnMemoryHigh": (
        {plain("vpn_daemon_memory_bytes"): f"{GIB}x60", plain("vpn_worker_memory_bytes", worker="0"): f"{GIB}x60"},
        {plain("vpn_daemon_memory_bytes"): "1e8x60", plain("vpn_worker_memory_bytes", worker="0"): "1e8x60"},
    ),
    "VpnDescriptorsNearLimit": (
        {plain("vpn_worker_open_fds", worker="0"): "950x60", plain("vpn_process_max_fds"): "1000x60"},
        {plain("vpn_worker_open_fds", worker="0"): "850x60", plain("vpn_process_max_fds"): "1000x60"},
    ),
    "VpnEventLoopSlow": (lags(0.1), lags(0)),
    "VpnDiskNearlyFull": (
        {plain("vpn_data_directory_free_bytes"): "1e8x60"},
        {plain("vpn_data_directory_free_bytes"): "1e10x60"},
    ),
    "VpnSlowWrites": (
        {plain("vpn_writer_write_seconds_total"): "0+40x60", plain("vpn_writer_batches_total"): "0+20x60"},
        {plain("vpn_writer_write_seconds_total"): "0+10x60", plain("vpn_writer_batches_total"): "0+20x60"},
    ),
    "VpnSessionsWait": ({plain("vpn_writer_spill_bytes"): "5000x60"}, {plain("vpn_writer_spill_bytes"): "0x60"}),
    "VpnSessionsLost": (
        {plain("vpn_writer_lost_sessions_total"): "0x20 7x60", plain("vpn_journal_lost_sessions_total"): "0x60"},
        {plain("vpn_writer_lost_sessions_total"): "7x60", plain("vpn_journal_lost_sessions_total"): "0x60"},
    ),
}
ALSO = {"VpnCertificateExpires": ["VpnCertificateExpiresSoon"]}
"""What fires as well, whether or not this one does."""


def test_every_alert_has_its_case():
    assert list(CASES) == [alert.name for alert in alerts()]


def world(series, firing):
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'sort(count by (alertname) (ALERTS{alertstate="firing"}))',
                "eval_time": "30m",
                "exp_samples": samples,
            }
        ],
    }


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "alerts.yml"
    path.write_text(rules_text(alerts()))
    return path


def test_the_rules_are_rules(rules):
    done = run_program("promtool", "check", "rules", str(rules))
    assert done.code == 0, done
    assert f"{len(alerts())} rules found" in done.out


def test_alerts_fire_when_they_should_and_only_then(rules, tmp_path):
    worlds = [world(fires, [name, *ALSO.get(name, [])]) for name, (fires, _) in CASES.items()]
    worlds += [world(quiet, ALSO.get(name, [])) for name, (_, quiet) in CASES.items()]
    test = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": worlds}
    path = tmp_path / "test.yml"
    path.write_text(json.dumps(test))
    done = run_program("promtool", "test", "rules", str(path))
    assert done.code == 0, done.out + done.err


def test_annotations_are_filled_in(rules, tmp_path):
    [alert] = [each for each in alerts() if each.name == "VpnUpstreamDown"]
    fired = {
        "exp_labels": {"severity": "warning", "job": "vpn", "instance": "a", "upstream": "paris"},
        "exp_annotations": {"summary": "Upstream paris does not work", "description": alert.action},
    }
    case = {
        "interval": "1m",
        "input_series": [{"series": plain("vpn_upstream_up", upstream="paris"), "values": "0x10"}],
        "alert_rule_test": [{"eval_time": "5m", "alertname": alert.name, "exp_alerts": [fired]}],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps({"rule_files": [str(rules)], "tests": [case]}))
    done = run_program("promtool", "test", "rules", str(path))
    assert done.code == 0, done.out + done.err
