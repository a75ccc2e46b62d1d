"""Queries for Prometheus, put together from the metrics of the table."""

from __future__ import annotations

from collections.abc import Sequence

from vpn.monitoring.family import Family

WINDOW = "$__rate_interval"
"""What Grafana replaces with a span that has at least four samples."""
JOB = 'job="vpn"'
"""How the metrics of our daemons are told from others': the job that our example for Prometheus has."""


def select(family: Family, where: str = "", suffix: str = "") -> str:
    """The series of a metric; `suffix` of a histogram's, such as ``_sum``."""
    return f"{family.name}{suffix}{{{', '.join(filter(None, (JOB, where)))}}}"


def rate(family: Family, where: str = "", *, suffix: str = "", window: str = WINDOW) -> str:
    """How fast a counter grows, in a second."""
    return f"rate({select(family, where, suffix)}[{window}])"


def increase(family: Family, where: str = "", *, window: str) -> str:
    """By how much a counter has grown."""
    return f"increase({select(family, where)}[{window}])"


def total(expression: str, *by: str) -> str:
    """The sum, of each combination of labels."""
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def quantile(share: float, family: Family, by: Sequence[str] = (), window: str = WINDOW) -> str:
    """Which value a share of all in a histogram is at most."""
    return f"histogram_quantile({share}, {total(rate(family, suffix='_bucket', window=window), 'le', *by)})"


def mean(family: Family, by: Sequence[str] = (), window: str = WINDOW) -> str:
    """The mean of the values in a histogram."""
    parts = (total(rate(family, suffix=suffix, window=window), *by) for suffix in ("_sum", "_count"))
    return " / ".join(parts)


def top(count: int, expression: str) -> str:
    """The largest of them."""
    return f"topk({count}, {expression})"
