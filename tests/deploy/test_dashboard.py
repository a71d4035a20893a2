"""The dashboard's form: what a person finds in it, and what Grafana needs to load it again as the same one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.deploy.dashboard import DASHBOARD, FILE, PANELS, ROWS, VARIABLES, documented, metrics, queries
from tests.support.kubernetes import manifests

#: Panels that every Grafana has.
CORE = {"stat", "timeseries", "state-timeline", "heatmap", "table"}
#: What is asked first, in this order.
TITLES = [
    "Overview", "Traffic", "Errors", "Latency", "Limits", "Caps", "Cache", "Breakers and upstreams", "Flags",
    "The gateway itself",
]  # fmt: skip


def _name(panel: dict[str, Any]) -> str:
    return f"{panel['id']} {panel['title']}"


def test_it_is_the_same_one_after_each_import() -> None:
    assert DASHBOARD["uid"] == "gateway-sidecar"
    assert "id" not in DASHBOARD, "that is each Grafana's own"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert DASHBOARD["schemaVersion"] >= 39


def test_its_rows() -> None:
    assert [row["title"] for row in ROWS] == TITLES


def test_nothing_lies_over_anything_else() -> None:
    taken: dict[tuple[int, int], int] = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, _name(panel)
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["id"]) == panel["id"], _name(panel)


@pytest.mark.parametrize("panel", PANELS, ids=_name)
def test_a_panel_is_one_that_a_stranger_can_read(panel: dict[str, Any]) -> None:
    assert panel["type"] in CORE, "a plugin, which not everybody has"
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert len(panel["description"]) > 30
    assert panel["description"].endswith((".", "`."))
    assert panel["targets"]
    if panel["type"] in ("stat", "timeseries"):
        assert panel["fieldConfig"]["defaults"]["unit"]
    if panel["type"] == "timeseries":
        assert panel["options"]["legend"]["showLegend"]
        assert all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("panel", PANELS, ids=_name)
def test_a_description_names_only_panels_that_there_are(panel: dict[str, Any]) -> None:
    there = {one["title"] for one in DASHBOARD["panels"]}
    assert {name for name in re.findall(r"\*([A-Z][^*]+)\*", panel["description"]) if name not in there} == set()


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.where)
def test_a_query_goes_by_what_is_chosen_and_hides_nothing(query: Any) -> None:
    assert " or " not in f" {query.expr.lower()} ", "what fills a gap hides a name that is wrong"
    assert "vector(" not in query.expr
    selectors = re.findall(r"\{[^}]*\}", query.expr)
    assert selectors
    for selector in selectors:
        assert 'job=~"$job"' in selector
        assert 'namespace=~"$namespace"' in selector
        assert 'instance=~"$instance"' in selector or "ALERTS" in query.expr
    assert set(re.findall(r"\$(?!__)([a-z_]+)", query.expr)) <= VARIABLES.keys()
    for window in re.findall(r"\brate\(\w+\{[^}]*\}\[([^\]]+)\]", query.expr):
        assert window == "$__rate_interval"


def test_what_it_names_is_documented_and_what_is_documented_is_shown() -> None:
    named = set().union(*(metrics(query.expr) for query in queries()))
    assert named - documented() == set()
    assert {name for name in documented() if name.startswith("gateway_")} - named == set()


def test_a_config_map_brings_it_to_grafana() -> None:
    [found] = manifests("kubectl", "kustomize", FILE.parent)
    assert (found["kind"], found["metadata"]["labels"]["grafana_dashboard"]) == ("ConfigMap", "1")
    assert json.loads(found["data"]["gateway.json"]) == DASHBOARD
    assert len(json.dumps(found)) < 250_000, "kubectl apply keeps a copy in an annotation, of 256 KiB at most"
