import pytest

from vpn.monitoring.panels import WIDTH, Query, dashboard, heatmap, laid_out, stat, table, timeseries

QUERY = Query("up", "{{job}}")


def test_panels_say_what_they_show():
    panel = timeseries("Title", "Text.", [QUERY, Query("down")], "s", stacked=True)
    assert (panel["type"], panel["title"], panel["description"]) == ("timeseries", "Title", "Text.")
    assert [(each["refId"], each["expr"], each["legendFormat"]) for each in panel["targets"]] == [
        ("A", "up", "{{job}}"),
        ("B", "down", "__auto"),
    ]
    assert panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
    assert panel["datasource"]["uid"] == "${datasource}"


def test_a_figure_may_warn():
    steps = stat("Title", "Text.", QUERY, "short", warn=3)["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [each["value"] for each in steps] == [None, 3]
    assert len(stat("Title", "Text.", QUERY, "short")["fieldConfig"]["defaults"]["thresholds"]["steps"]) == 1


@pytest.mark.parametrize(
    ("panel", "format"),
    [
        (table("Title", "Text.", QUERY, "bytes", ["user"]), "table"),
        (heatmap("Title", "Text.", QUERY, "s"), "heatmap"),
    ],
)
def test_queries_of_tables_and_heat_maps_have_a_format(panel, format):
    assert panel["targets"][0]["format"] == format


def test_rows_fill_the_width_and_follow_each_other():
    figure, graph = stat("Title", "Text.", QUERY, "short"), timeseries("Title", "Text.", [QUERY], "s")
    placed = laid_out([[figure, figure], [graph, graph, graph]])
    assert [each["id"] for each in placed] == [1, 2, 3, 4, 5]
    assert [tuple(each["gridPos"].values()) for each in placed] == [
        (0, 0, 12, 4),
        (12, 0, 12, 4),
        (0, 4, 8, 8),
        (8, 4, 8, 8),
        (16, 4, 8, 8),
    ]
    assert [each["gridPos"]["w"] for each in laid_out([[figure] * 5])] == [4, 4, 4, 4, 8]
    assert WIDTH == 24


def test_a_dashboard_lets_source_and_daemons_be_chosen():
    made = dashboard("uid", "title", "Text.", [])
    assert made["uid"] == "uid"
    source, instance = made["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (instance["name"], instance["type"]) == ("instance", "query")
    assert instance["query"]["query"] == 'label_values(vpn_build_info{job="vpn"}, instance)'


def test_queries_are_about_the_daemons_that_are_chosen():
    [target] = timeseries("Title", "Text.", [Query('up{job="vpn"}')], "s")["targets"]
    assert target["expr"] == 'up{job="vpn", instance=~"$instance"}'
