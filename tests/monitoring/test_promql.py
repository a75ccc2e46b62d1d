from vpn.monitoring import promql
from vpn.monitoring.family import Family

COUNT = Family("a_total", "counter", "x", ("user",))
TIMES = Family("b_seconds", "histogram", "x", buckets=(1.0,))


def test_expressions():
    assert promql.select(COUNT) == 'a_total{job="vpn"}'
    assert promql.select(COUNT, 'user="u"') == 'a_total{job="vpn", user="u"}'
    assert promql.rate(COUNT) == 'rate(a_total{job="vpn"}[$__rate_interval])'
    assert promql.increase(COUNT, window="1h") == 'increase(a_total{job="vpn"}[1h])'
    assert promql.total("x") == "sum(x)"
    assert promql.total("x", "a", "b") == "sum by (a, b) (x)"
    assert promql.top(3, "x") == "topk(3, x)"


def test_expressions_of_histograms():
    assert promql.quantile(0.5, TIMES, ["via"], "5m") == (
        'histogram_quantile(0.5, sum by (le, via) (rate(b_seconds_bucket{job="vpn"}[5m])))'
    )
    assert promql.mean(TIMES, window="5m") == (
        'sum(rate(b_seconds_sum{job="vpn"}[5m])) / sum(rate(b_seconds_count{job="vpn"}[5m]))'
    )
