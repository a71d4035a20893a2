"""The metrics listener over real sockets: four pages for reading, polite refusals for all else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gateway.listeners.metrics import MetricsListener
from gateway.telemetry.exposition import Scraper
from gateway.telemetry.health import Health
from gateway.telemetry.metrics import Metrics

PAGES = ("/livez", "/readyz", "/health", "/metrics")


class _Running:
    def __init__(self) -> None:
        self.health = Health()
        self.metrics = Metrics()
        self.listener = MetricsListener(self.health, Scraper(self.metrics))
        self.address = ("", 0)
        self.client: aiohttp.ClientSession

    async def ask(self, path: str, method: str = "GET", **options: Any) -> tuple[int, Mapping[str, str], bytes]:
        url = f"http://{self.address[0]}:{self.address[1]}{path}"
        async with self.client.request(method, url, **options) as response:
            return response.status, response.headers, await response.read()


@pytest_asyncio.fixture
async def running() -> AsyncIterator[_Running]:
    running = _Running()
    running.address = await running.listener.start("127.0.0.1", 0)
    async with aiohttp.ClientSession() as running.client:
        yield running
    await running.listener.stop()


def _assert_problem(answer: tuple[int, Mapping[str, str], bytes], status: int) -> dict[str, Any]:
    assert answer[0] == status
    assert answer[1]["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(answer[2])
    assert body.keys() == {"type", "title", "status", "detail"}
    assert body["status"] == status
    return body


async def test_the_real_address_is_told(running: _Running) -> None:
    assert running.address[0] == "127.0.0.1"
    assert running.address[1] > 0


async def test_it_is_alive_from_the_first_moment(running: _Running) -> None:
    for turn in (running.health.starting, running.health.ready, running.health.draining):
        turn()
        status, headers, body = await running.ask("/livez")
        assert (status, body) == (200, b"ok\n")
        assert headers["Cache-Control"] == "no-store"


async def test_it_is_ready_between_starting_and_draining(running: _Running) -> None:
    assert _assert_problem(await running.ask("/readyz"), 503)["detail"] == "The gateway is starting."
    running.health.ready()
    assert (await running.ask("/readyz"))[0] == 200
    running.health.draining()
    assert _assert_problem(await running.ask("/readyz"), 503)["detail"] == "The gateway is draining."


async def test_readiness_depends_on_no_part(running: _Running) -> None:
    running.health.ready()
    running.health.part("upstream app", lambda: ("unhealthy", "breaker open"))
    assert (await running.ask("/readyz"))[0] == 200


@pytest.mark.parametrize(("state", "status"), [("healthy", 200), ("degraded", 200), ("unhealthy", 503)])
async def test_health_tells_of_each_part(running: _Running, state: Any, status: int) -> None:
    running.health.ready()
    running.health.part("listener ingress", lambda: ("healthy", ""))
    running.health.part("upstream app", lambda: (state, "breaker open"), "wait for it")
    action = "" if state == "healthy" else "wait for it"
    answer = await running.ask("/health")
    assert (answer[0], answer[1]["Content-Type"]) == (status, "application/json")
    assert json.loads(answer[2]) == {
        "status": state,
        "phase": "ready",
        "parts": {
            "listener ingress": {"state": "healthy", "detail": "", "action": ""},
            "upstream app": {"state": state, "detail": "breaker open", "action": action},
        },
    }


async def test_metrics_in_the_format_asked_for(running: _Running) -> None:
    running.metrics.route("ingress", "all").end(b"GET", 200, 0.01)
    line = b'gateway_requests_total{listener="ingress",method="GET",route="all",status="200"} 1.0\n'
    status, headers, body = await running.ask("/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert headers["Vary"] == "Accept"
    assert line in body
    _, headers, body = await running.ask("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert line in body
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize("path", PAGES)
async def test_head_is_get_without_the_body(running: _Running, path: str) -> None:
    got, head = await running.ask(path), await running.ask(path, "HEAD")
    assert (head[0], head[2]) == (got[0], b"")
    assert head[1]["Content-Type"] == got[1]["Content-Type"]
    assert int(head[1]["Content-Length"]) > 0


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PURGE"])
async def test_other_methods_are_refused(running: _Running, path: str, method: str) -> None:
    answer = await running.ask(path, method)
    _assert_problem(answer, 405)
    assert answer[1]["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/", "/metrics/", "/Metrics", "/metrics/x", "/nope", "/%2e%2e/etc/passwd"])
async def test_other_paths_are_refused_without_repeating_them(running: _Running, path: str) -> None:
    answer = await running.ask(path)
    assert _assert_problem(answer, 404)["detail"] == "There are /livez, /readyz, /health, /metrics."


async def test_a_query_changes_nothing(running: _Running) -> None:
    assert (await running.ask("/livez?verbose=1"))[0] == 200


async def test_a_body_is_refused(running: _Running) -> None:
    answer = await running.ask("/metrics", data=b"x" * 100_000)
    _assert_problem(answer, 413)
    assert answer[1]["Connection"] == "close"
    assert (await running.ask("/livez"))[0] == 200


async def test_it_says_nothing_of_what_it_is_made_of(running: _Running) -> None:
    for path in (*PAGES, "/nope"):
        assert (await running.ask(path))[1]["Server"] == "gateway"


async def test_a_failing_page_is_a_plain_500_and_one_line_of_the_log(
    running: _Running, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> int:
        raise RuntimeError("a secret")

    running.metrics.upstream("app").watch_breaker(broken)
    answer = await running.ask("/metrics")
    assert _assert_problem(answer, 500)["detail"] == "A fault of ours."
    assert b"secret" not in answer[2]
    assert [record.getMessage() for record in caplog.records] == ["a handler failed"]
    assert (await running.ask("/livez"))[0] == 200


async def test_a_port_in_use_is_an_os_error(running: _Running) -> None:
    other = MetricsListener(running.health, Scraper(running.metrics))
    with pytest.raises(OSError, match="address already in use"):
        await other.start(*running.address)
    await other.stop()
