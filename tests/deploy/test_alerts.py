"""The alert rules: right by promtool, each with cases, and with its line in the runbook, which has no others."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import operator_schema
from tests.deploy.dashboard import DASHBOARD, ROOT, documented, metrics
from tests.deploy.prometheus import tool
from tests.deploy.prometheusrule import FOLDER, RESOURCE, RULES, resource
from tests.support.kubernetes import Manifest, manifests

HERE = Path(__file__).parent
CASES = ("alerts.yaml", "alerts-long.yaml")
README = (ROOT / "deploy" / "README.md").read_text()

ALL: list[dict[str, Any]] = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in ALL if "alert" in rule}


def _promtool(*arguments: str | Path) -> None:
    done = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, check=False, cwd=HERE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules() -> None:
    _promtool("check", "rules", RULES)


@pytest.mark.parametrize("cases", CASES)
def test_they_fire_when_they_should_and_only_then(cases: str) -> None:
    _promtool("test", "rules", cases)


def test_every_alert_has_a_case_where_it_fires_and_one_where_it_does_not() -> None:
    tests = [test for cases in CASES for test in yaml.safe_load((HERE / cases).read_text())["tests"]]
    tried = [case for test in tests for case in test.get("alert_rule_test", [])]
    assert {case["alertname"] for case in tried if case["exp_alerts"]} == set(ALERTS)
    assert {case["alertname"] for case in tried if not case["exp_alerts"]} == set(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_how_bad_it_is_and_where_to_look(alert: str) -> None:
    rule = ALERTS[alert]
    assert alert.startswith("Gateway")
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"deploy/README.md#{alert.lower()}"


def test_the_runbook_has_a_line_for_each_alert_as_bad_as_it_is() -> None:
    lines = re.findall(r"^### (Gateway\w+)\n\n\*(\w+)\.\* .{60}", README, re.MULTILINE)
    assert lines == [(alert, rule["labels"]["severity"]) for alert, rule in ALERTS.items()]


def test_the_runbook_names_only_panels_that_there_are() -> None:
    alerts = README[README.index("## Alerts") :]
    there = {panel["title"] for panel in DASHBOARD["panels"]}
    assert {" ".join(name.split()) for name in re.findall(r"\*([A-Z][^*.]+)\*", alerts)} <= there


def test_the_rules_name_only_metrics_that_the_gateway_documents() -> None:
    assert set().union(*(metrics(rule["expr"]) for rule in ALL)) - documented() == set()


def test_the_operators_resource_is_made_of_the_rules() -> None:
    assert RESOURCE.read_text() == resource(), "run python -m tests.deploy.prometheusrule"
    assert yaml.safe_load(resource())["spec"] == yaml.safe_load(RULES.read_text())


@pytest.fixture(scope="module")
def found() -> Manifest:
    """What `kubectl apply -k deploy/prometheus` applies."""
    [found] = manifests("kubectl", "kustomize", FOLDER)
    assert (found["kind"], found["spec"]) == ("PrometheusRule", yaml.safe_load(RULES.read_text()))
    return found


def test_the_operator_takes_it(found: Manifest) -> None:
    done = operator_schema.check(found)
    assert done.returncode == 0, done.stderr


def test_the_operator_would_not_take_anything(found: Manifest) -> None:
    assert operator_schema.check({**found, "spec": {"groups": [{"name": "g", "rules": [{"alert": "x"}]}]}}).returncode
