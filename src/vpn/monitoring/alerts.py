"""The alerts for Prometheus: when somebody should look, and what to do then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, NamedTuple

from vpn.monitoring import daemon_families as d
from vpn.monitoring import plane_families as p
from vpn.monitoring import session_families as s
from vpn.monitoring.promql import JOB, increase, rate, select, total

WINDOW = "5m"
MEMORY = 1024**3  # bytes, of the daemon and its workers together
DISK = 1024**3  # bytes that should be free
DAY = 86400


class Alert(NamedTuple):
    """A reason to look."""

    name: str
    expression: str
    wait: str
    """How long it has to be so."""
    severity: Literal["info", "warning", "critical"]
    summary: str
    action: str


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (*_service(), *_sessions(), *_limits(), *_resources(), *_storing())


def rules_text(found: Sequence[Alert]) -> str:
    """The file of rules that Prometheus reads."""
    return "groups:\n  - name: vpn-manager\n    rules:\n" + "".join(map(_rule, found))


def _rule(alert: Alert) -> str:
    # JSON's strings are YAML's, too.
    return f"""\
      - alert: {alert.name}
        expr: {json.dumps(alert.expression)}
        for: {alert.wait}
        labels:
          severity: {alert.severity}
        annotations:
          summary: {json.dumps(alert.summary)}
          description: {json.dumps(alert.action)}
"""


def _per_instance(expression: str) -> str:
    return total(expression, "job", "instance")


def _service() -> list[Alert]:
    return [
        Alert(
            "VpnDaemonDown",
            f"up{{{JOB}}} == 0",
            "1m",
            "critical",
            "{{ $labels.instance }} does not answer",
            "See whether vpn serve runs, and what it logs last. If it runs, see whether the token file is readable.",
        ),
        Alert(
            "VpnWorkerDown",
            f"{select(p.WORKER_UP)} == 0",
            "1m",
            "critical",
            "Worker {{ $labels.worker }} does not serve",
            "It is started again by itself; the log says why it does not come up.",
        ),
        Alert(
            "VpnWorkerRestarts",
            f"{_per_instance(increase(p.WORKER_RESTARTS, window='15m'))} > 2",
            "0m",
            "warning",
            "Workers keep dying ({{ $value | humanize }} restarts in 15 minutes)",
            "Look for 'worker died' in the log: code -9 is mostly the kernel short of memory.",
        ),
        Alert(
            "VpnConfigReloadFailed",
            f"{select(d.RELOAD_OK)} == 0",
            "0m",
            "warning",
            "The settings were not reloaded",
            "The daemon goes on with the old ones. Correct the file, and run: vpn reload",
        ),
        Alert(
            "VpnCertificateExpiresSoon",
            f"{select(p.CERTIFICATE_EXPIRY)} - time() < {14 * DAY}",
            "10m",
            "warning",
            "The certificate of inbound {{ $labels.inbound }} ends in {{ $value | humanizeDuration }}",
            "Renew it in its place: it is taken up within seconds, and no connection is lost.",
        ),
        Alert(
            "VpnCertificateExpires",
            f"{select(p.CERTIFICATE_EXPIRY)} - time() < {2 * DAY}",
            "10m",
            "critical",
            "The certificate of inbound {{ $labels.inbound }} ends in {{ $value | humanizeDuration }}",
            "Renew it in its place: it is taken up within seconds, and no connection is lost.",
        ),
        Alert(
            "VpnInboundDown",
            f"{select(p.INBOUND_UP)} == 0",
            "1m",
            "critical",
            "Inbound {{ $labels.inbound }} is not served",
            "vpn inbounds list says why: most likely another program listens there.",
        ),
        Alert(
            "VpnUpstreamDown",
            f"{select(p.UPSTREAM_UP)} == 0",
            "2m",
            "warning",
            "Upstream {{ $labels.upstream }} does not work",
            "vpn status shows how it is. Connections go by other upstreams of their route, if there are any.",
        ),
    ]


def _sessions() -> list[Alert]:
    ended = _per_instance(rate(s.SESSIONS_ENDED, window=WINDOW))
    rejected = _per_instance(rate(s.SESSIONS_REJECTED, window=WINDOW))
    failed = _per_instance(rate(s.SESSIONS_ENDED, 'status="failed"', window=WINDOW))
    wrong = _per_instance(rate(s.SESSIONS_REJECTED, 'reason="authentication_failed"', window=WINDOW))
    lookups = _per_instance(rate(p.RESOLVER_QUERIES, window=WINDOW))
    unresolved = _per_instance(rate(p.RESOLVER_QUERIES, 'outcome="failed"', window=WINDOW))
    return [
        Alert(
            "VpnManyRejections",
            f"{rejected} > 1 and {rejected} / {ended} > 0.5",
            "5m",
            "warning",
            "{{ $value | humanize }} sessions are refused in a second, more than half of all",
            "The dashboard of access rules shows why; after a change of the policy see: vpn policy diff",
        ),
        Alert(
            "VpnManyErrors",
            f"{failed} > 1 and {failed} / {ended} > 0.3",
            "5m",
            "warning",
            "{{ $value | humanize }} sessions fail in a second, more than three in ten",
            "The overview shows the reasons: destinations, upstreams, name servers or clients.",
        ),
        Alert(
            "VpnPasswordGuessing",
            f"{wrong} > 5",
            "5m",
            "warning",
            "{{ $value | humanize }} wrong passwords in a second",
            "See who is banned with: vpn bans list. Behind a load balancer, see that inbounds have trusted_proxies.",
        ),
        Alert(
            "VpnNamesNotResolved",
            f"{unresolved} > 1 and {unresolved} / {lookups} > 0.5",
            "5m",
            "warning",
            "Most names cannot be resolved",
            "See whether the name servers in proxy.dns.servers, or the machine's, answer.",
        ),
    ]


def _limits() -> list[Alert]:
    connections = _per_instance(select(p.INBOUND_CONNECTIONS))
    most = _per_instance(f"({select(p.CONNECTIONS_MAX)} > 0)")
    over_quota = select(d.USERS_BLOCKED, 'reason="over_quota"')
    return [
        Alert(
            "VpnConnectionsNearLimit",
            f"{connections} / {most} > 0.9",
            "2m",
            "warning",
            "{{ $value | humanizePercentage }} of all connections that may be there are",
            "Beyond proxy.max_connections clients are turned away: raise it, or see who connects so often.",
        ),
        Alert(
            "VpnInboundConnectionsNearLimit",
            f"{select(p.INBOUND_CONNECTIONS)} / ({select(p.INBOUND_CONNECTIONS_MAX)} > 0) > 0.9",
            "2m",
            "warning",
            "Inbound {{ $labels.inbound }} has {{ $value | humanizePercentage }} of the connections it may have",
            "Beyond its max_connections clients are turned away: raise it, or see who connects so often.",
        ),
        Alert(
            "VpnUsersOverQuota",
            f"{over_quota} > 0",
            "0m",
            "info",
            "{{ $value }} users have used up their quota",
            "vpn users list shows them; vpn users reset-usage gives a user a new period.",
        ),
    ]


def _resources() -> list[Alert]:
    memory = f"{_per_instance(select(d.DAEMON_MEMORY))} + {_per_instance(select(p.WORKER_MEMORY))}"
    late = total(rate(d.DAEMON_LAG, suffix="_bucket", window=WINDOW), "le", "job", "instance")
    return [
        Alert(
            "VpnMemoryHigh",
            f"{memory} > {MEMORY}",
            "10m",
            "warning",
            "The service holds {{ $value | humanize1024 }}B of memory",
            "See whether sessions have grown as well: each takes some 4 KB and two sockets.",
        ),
        Alert(
            "VpnDescriptorsNearLimit",
            f"{select(p.WORKER_FDS)} > on (job, instance) group_left () ({select(d.FDS_MAX)} * 0.9)",
            "2m",
            "warning",
            "Worker {{ $labels.worker }} has {{ $value | humanize }} files open, nearly as many as it may",
            "Raise the limit on open files of the service (LimitNOFILE with systemd), or proxy.workers.",
        ),
        Alert(
            "VpnEventLoopSlow",
            f"histogram_quantile(0.99, {late}) > 0.25",
            "10m",
            "warning",
            "The daemon's event loop is {{ $value | humanizeDuration }} late at times",
            "Commands and password checks wait; tunnels do not. See whether the machine is short of CPU.",
        ),
        Alert(
            "VpnDiskNearlyFull",
            f"{select(d.DISK_FREE)} < {DISK}",
            "5m",
            "warning",
            "Only {{ $value | humanize1024 }}B are left where the data directory lies",
            "Make room: without it, usage and sessions cannot be stored.",
        ),
    ]


def _storing() -> list[Alert]:
    seconds = _per_instance(rate(d.WRITER_TIME, window=WINDOW))
    batches = _per_instance(rate(d.WRITER_BATCHES, window=WINDOW))
    lost = " + ".join(_per_instance(increase(each, window="15m")) for each in (d.WRITER_LOST, p.JOURNAL_LOST))
    return [
        Alert(
            "VpnSlowWrites",
            f"{seconds} / {batches} > 1",
            "5m",
            "warning",
            "Storing a batch of sessions takes {{ $value | humanizeDuration }}",
            "See what the database waits for: its disk, locks, or another program.",
        ),
        Alert(
            "VpnSessionsWait",
            f"{select(d.WRITER_SPILL)} > 0",
            "5m",
            "warning",
            "Sessions wait on disk because the database cannot be reached",
            "The log says why. They are stored when it is back; the space is bounded by sessions.spill_size.",
        ),
        Alert(
            "VpnSessionsLost",
            f"{lost} > 0",
            "0m",
            "critical",
            "{{ $value | humanize }} sessions of the last 15 minutes could not be kept",
            "Service goes on, but the history has gaps: see whether the database is away or the disk full.",
        ),
    ]
