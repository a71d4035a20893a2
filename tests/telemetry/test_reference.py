"""The page on metrics names what there is: a dashboard is made from it."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.protection import Protection
from gateway.telemetry.cache import CacheMetrics
from gateway.telemetry.health import Health
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics

PAGE = Path(__file__).parents[2] / "config" / "reference" / "metrics.md"


def test_the_page_has_every_metric_with_its_labels(tmp_path: Path) -> None:
    metrics = Metrics()
    with (tmp_path / "log").open("wb") as file:
        Protection(metrics, Health(), Log(file))
    metrics.watch("cache", CacheMetrics().families)
    there = {
        family.name + ("{" + ",".join(family.labels) + "}" if family.labels else "") for family in metrics.snapshot()
    }
    assert set(re.findall(r"^\| `(gateway_[^`]+)`", PAGE.read_text(), re.MULTILINE)) == there
