from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from vpn.services.figures import Distribution, figures_of


def test_figures_of_prometheus():
    sent = CounterMetricFamily("sent_bytes", "Bytes.", labels=["user"])
    sent.add_metric(["a"], 3)
    sent.add_metric(["b"], 4)
    lasted = HistogramMetricFamily("lasted_seconds", "Seconds.", labels=["kind"])
    lasted.add_metric(["x"], [("1.0", 2), ("10.0", 5), ("+Inf", 6)], 42.5)
    lasted.add_metric(["y"], [("1.0", 0), ("10.0", 0), ("+Inf", 0)], 0)
    live = GaugeMetricFamily("live", "Live ones.", value=7)
    counter, histogram, gauge = figures_of([sent, lasted, live])
    assert counter[:4] == ("sent_bytes", "counter", "By", "Bytes.")
    assert list(counter.samples) == [({"user": "a"}, 3), ({"user": "b"}, 4)]
    assert histogram[:4] == ("lasted_seconds", "histogram", "s", "Seconds.")
    assert list(histogram.samples) == [
        ({"kind": "x"}, Distribution([1.0, 10.0], [2, 3, 1], 42.5)),
        ({"kind": "y"}, Distribution([1.0, 10.0], [0, 0, 0], 0.0)),
    ]
    assert (gauge.kind, list(gauge.samples)) == ("gauge", [({}, 7)])
