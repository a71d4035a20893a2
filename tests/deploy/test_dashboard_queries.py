"""A real Prometheus scrapes a real gateway under load: each query of the dashboard has something to show for it."""

from __future__ import annotations

import asyncio
import math
import re
import socket
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.deploy.dashboard import VARIABLES, Query, filled, queries
from tests.deploy.prometheus import Prometheus
from tests.deploy.prometheusrule import RULES
from tests.deploy.site import Load, answer, everything
from tests.support.gateway import Gateway
from tests.support.origin import Origin, listen
from tests.support.redis import RedisServer, free_port

pytestmark = pytest.mark.loads_the_machine

SCRAPES = 0.5  # seconds between two
LOAD = 5.0  # seconds of it
#: What Grafana would make of these here.
WINDOWS = {"__rate_interval": "3s", "__range": "10s"}


class Seen(NamedTuple):
    """What Prometheus has seen, and when: seconds since the epoch."""

    prometheus: Prometheus
    start: float
    end: float

    def values(self, variable: str, chosen: dict[str, str]) -> list[str]:
        """What Grafana would offer for one of the variables."""
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", VARIABLES[variable]["query"]["query"], re.DOTALL)
        assert found
        selector = filled(found[1], chosen)
        values: list[str] = self.prometheus.ask(
            f"label/{found[2]}/values", **{"match[]": selector}, start=self.start, end=self.end
        )
        return values


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A gateway with everything on, loaded and scraped, with the alert rules watching."""
    port = free_port()
    target = {"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": "shop", "pod": "shop-0"}}
    config = {
        "global": {"scrape_interval": f"{SCRAPES * 1000:.0f}ms", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "shop", "static_configs": [target]}],
    }
    with (
        Prometheus(tmp_path_factory.mktemp("prometheus"), config) as prometheus,
        RedisServer() as redis,
        listen() as origin,
        socket.socket() as nobody,
    ):
        nobody.bind(("127.0.0.1", 0))  # and never listens: whoever connects is refused
        sites = everything(origin.getsockname()[:2], nobody.getsockname()[:2], redis.url, port)
        gateway = Gateway(tmp_path_factory.mktemp("gateway"), sites).start()
        try:
            prometheus.sees("up == 1")
            start = time.time()
            asyncio.run(_load(gateway, origin))
            yield Seen(prometheus, start, time.time())
        finally:
            gateway.stop()


async def _load(gateway: Gateway, listener: socket.socket) -> None:
    async with Origin(listener) as origin:
        origin.answer = answer
        async with Load(gateway):
            await asyncio.sleep(LOAD)
        assert not origin.violations


@pytest.fixture(scope="module")
def chosen(seen: Seen) -> dict[str, str]:
    """Every variable, with all of its values chosen, as Grafana writes several."""
    chosen = dict(WINDOWS)
    for name in [name for name in VARIABLES if name != "datasource"]:
        values = seen.values(name, chosen)
        assert values, f"nothing to choose for {name}"
        chosen[name] = f"({'|'.join(re.escape(value).replace(chr(92), chr(92) * 2) for value in values)})"
    return chosen


def test_the_variables_offer_what_there_is(seen: Seen, chosen: dict[str, str]) -> None:
    assert (chosen["namespace"], chosen["job"]) == ("(shop)", "(shop)")
    assert set(seen.values("listener", chosen)) == {"ingress", "egress"}
    assert {"cached", "limited", "capped", "broken", "all", "none"} <= set(seen.values("route", chosen))
    assert set(seen.values("upstream", chosen)) == {"app", "broken", "provider"}


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.where)
def test_no_query_comes_back_empty(query: Query, seen: Seen, chosen: dict[str, str]) -> None:
    series = seen.prometheus.during(filled(query.expr, chosen), seen.start, seen.end, SCRAPES)
    numbers = [float(value) for one in series for _, value in one["values"]]
    assert [number for number in numbers if not math.isnan(number)], series
    for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
        assert all(one["metric"].get(label) for one in series), f"some have no {label}"


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.where)
def test_nor_with_everything_chosen_at_once(query: Query, seen: Seen) -> None:
    values = {name: one.get("allValue", "") for name, one in VARIABLES.items()} | WINDOWS
    assert seen.prometheus.during(filled(query.expr, values), seen.start, seen.end, SCRAPES)


def test_every_rule_can_be_evaluated_and_those_that_should_see_something(seen: Seen) -> None:
    rules = [rule for group in seen.prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}, [rule for rule in rules if rule["health"] != "ok"]
    states = {rule["name"]: rule["state"] for rule in rules if rule["type"] == "alerting"}
    assert {states[name] for name in ("GatewayErrors", "GatewayCapRefuses")} == {"pending"}
    assert states["GatewayDown"] == states["GatewayAbsent"] == "inactive"
