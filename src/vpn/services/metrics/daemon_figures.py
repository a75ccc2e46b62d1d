"""The figures of the daemon."""

from __future__ import annotations

import gc
import os
import platform
import resource
from collections.abc import Mapping

from vpn import __version__
from vpn.monitoring import daemon_families as table
from vpn.monitoring.plane_families import CERTIFICATE_EXPIRY
from vpn.services import procfs
from vpn.services.data_plane import Reloads
from vpn.services.metrics.facts import Facts
from vpn.services.metrics.histogram import Histogram
from vpn.services.metrics.sheet import Sheet
from vpn.services.session_writer import WriterState


def put_process(sheet: Sheet, started: float, lag: Histogram) -> None:
    """The daemon's own process."""
    sheet.put(table.BUILD, 1, __version__, platform.python_version())
    sheet.put(table.DAEMON_START, started)
    usage = procfs.usage(os.getpid())
    if usage is not None:
        sheet.put(table.DAEMON_MEMORY, usage.memory)
        sheet.put(table.DAEMON_CPU, usage.cpu)
    if (descriptors := procfs.open_fds(os.getpid())) is not None:
        sheet.put(table.DAEMON_FDS, descriptors)
    sheet.put(table.FDS_MAX, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    sheet.put_histogram(table.DAEMON_LAG, lag)
    for generation, counts in enumerate(gc.get_stats()):
        sheet.put(table.GC_COLLECTIONS, counts["collections"], str(generation))


def put_writer(sheet: Sheet, writer: WriterState) -> None:
    """Sessions on their way into the store."""
    sheet.put(table.WRITER_QUEUE, writer.waiting)
    sheet.put(table.WRITER_SPILL, writer.spilled_bytes)
    sheet.put(table.WRITER_SPILLED, writer.spilled)
    sheet.put(table.WRITER_LOST, writer.lost)
    sheet.put(table.WRITER_BATCHES, writer.batches)
    sheet.put(table.WRITER_TIME, writer.total_seconds)
    sheet.put(table.WRITER_LAST, writer.last_seconds)


def put_facts(sheet: Sheet, facts: Facts) -> None:
    """What had to be asked for."""
    sheet.put_known(table.USERS, facts.users)
    sheet.put_known(table.GROUPS, facts.groups)
    sheet.put_known(table.DATABASE_SIZE, facts.database_size)
    sheet.put_known(table.DISK_FREE, facts.disk_free)
    for inbound, moment in facts.expiries.items():
        sheet.put(CERTIFICATE_EXPIRY, moment, inbound)


def put_standings(sheet: Sheet, blocked: Mapping[str, int], warned: int, events: Mapping[str, int]) -> None:
    """How the users stand with their quotas and everything else that keeps them out."""
    for reason, count in blocked.items():
        sheet.put(table.USERS_BLOCKED, count, reason)
    sheet.put(table.USERS_WARNED, warned)
    for event, count in events.items():
        sheet.put(table.QUOTA_EVENTS, count, event)


def put_bans(sheet: Sheet, bans: Mapping[str, int]) -> None:
    """Who is kept out for a time."""
    for kind, count in bans.items():
        sheet.put(table.BANS, count, kind)


def put_reloads(sheet: Sheet, reloads: Reloads) -> None:
    """How reading the settings again went."""
    sheet.put(table.RELOADS, reloads.succeeded, "ok")
    sheet.put(table.RELOADS, reloads.failed, "failed")
    sheet.put(table.RELOAD_OK, float(reloads.in_order))
