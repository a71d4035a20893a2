"""The dashboard as Grafana reads it: its panels, variables and queries; and which metrics an expression names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "grafana" / "gateway.json"
REFERENCE = ROOT / "config" / "reference" / "metrics.md"

DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
#: All panels but the rows, and the rows.
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ROWS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
VARIABLES: dict[str, dict[str, Any]] = {one["name"]: one for one in DASHBOARD["templating"]["list"]}

_SUFFIX = re.compile(r"_(bucket|count|sum)$")
_METRIC = re.compile(r"\b(?:gateway|process|python)_[a-z0-9_]+")
#: What label matchers, groupings and label names say, which is no metric's name.
_NO_METRIC = re.compile(r"\"[^\"]*\"|\b(?:by|on|group_left|group_right|without|ignoring)\s*\([^)]*\)")


class Query(NamedTuple):
    """An expression, where it stands, and what its series are called."""

    where: str
    expr: str
    legend: str


def queries() -> list[Query]:
    """Every expression of the panels and the annotations."""
    of_panels = [
        Query(f"{panel['id']} {panel['title']} {target['refId']}", target["expr"], target["legendFormat"])
        for panel in PANELS
        for target in panel["targets"]
    ]
    return of_panels + [
        Query(f"annotation {one['name']}", one["expr"], one["textFormat"])
        for one in DASHBOARD["annotations"]["list"]
        if "expr" in one
    ]


def filled(text: str, values: dict[str, str]) -> str:
    """The text with variables filled in; what is not among the values stays."""
    return re.sub(r"\$(__)?[a-z_]+", lambda found: values.get(found[0][1:], found[0]), text)


def metrics(expression: str) -> set[str]:
    """The metrics that an expression names, histograms by the name of the whole."""
    documented_names = documented()
    found = set(_METRIC.findall(_NO_METRIC.sub("", expression)))
    return {name if name in documented_names else _SUFFIX.sub("", name) for name in found}


def documented() -> set[str]:
    """The names that the reference page has."""
    rows = re.findall(r"^\| (`.*?) \|", REFERENCE.read_text(), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`((?:gateway|process|python)_[a-z_]+)", row)}
