"""The page on metrics names what there is: a dashboard is made from it."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import parser

from gateway.protection import Protection
from gateway.telemetry.cache import CacheMetrics
from gateway.telemetry.exposition import Scraper
from gateway.telemetry.flags import families as of_flags
from gateway.telemetry.health import Health
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics

PAGE = Path(__file__).parents[2] / "config" / "reference" / "metrics.md"


def _all(tmp_path: Path) -> Metrics:
    metrics, health = Metrics(), Health()
    with (tmp_path / "log").open("wb") as file:
        Protection(metrics, health, Log(file))
    metrics.watch("cache", CacheMetrics().families)
    metrics.watch("flags", lambda: of_flags([]))
    metrics.watch("health", health.families)
    return metrics


def test_the_page_has_every_metric_with_its_labels(tmp_path: Path) -> None:
    metrics = _all(tmp_path)
    there = {
        family.name + ("{" + ",".join(family.labels) + "}" if family.labels else "") for family in metrics.snapshot()
    }
    there.add("gateway_build_info{version}")
    assert set(re.findall(r"^\| `(gateway_[^`]+)`", PAGE.read_text(), re.MULTILINE)) == there


async def test_what_it_says_of_the_process_is_there_too(tmp_path: Path) -> None:
    """Those that the dashboard and the alerts go by."""
    _, text = await Scraper(_all(tmp_path)).scrape("")
    there = {
        sample.name for family in parser.text_string_to_metric_families(text.decode()) for sample in family.samples
    }
    told = set(re.findall(r"^\| `((?:process|python)_[a-z_]+)", PAGE.read_text(), re.MULTILINE))
    assert told
    assert told <= there
