"""One line a request, true and complete, whatever the request was; and a slow sink never holds a request up."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.exchange import Client, Exchange, RequestBody
from gateway.rules.request_head import RequestHead
from gateway.telemetry.access_log import AT_ONCE, DELAY, AccessLog
from gateway.telemetry.log import Log
from gateway.telemetry.metrics import Metrics
from tests.telemetry.sinks import Pipe, wait_until


@dataclass
class _Route:
    name: str


def _exchange(path: bytes = b"/api/generate") -> Exchange:
    head = RequestHead()
    head.method, head.path, head.query = b"POST", path, b"?key=hunter2"
    head.host, head.keep_alive = b"a", True
    # The client's side is not looked at by a log.
    exchange = Exchange("ingress", head, RequestBody(None), cast("Client", None), "10.1.2.3", started=1000.0)
    exchange.body.feed(b"x" * 120)
    exchange.correlation_id = "0123456789abcdef"
    exchange.route = _Route("generate")
    exchange.upstream = "app"
    exchange.status = 200
    exchange.bytes_out = 1024
    exchange.upstream_seconds = 0.15
    return exchange


class _Logs:
    """An access log in one file, the operational log in another."""

    def __init__(self, directory: Path, fmt: str = "json") -> None:
        self.metrics = Metrics()
        self.access_path = directory / "access"
        self.log_path = directory / "log"
        with self.access_path.open("wb") as access, self.log_path.open("wb") as log:
            self.log = Log(log)
            self.access = AccessLog(access, self.metrics, self.log, fmt=fmt)

    def close(self) -> None:
        self.access.close()
        self.log.close()

    def text(self) -> str:
        self.close()
        return self.access_path.read_text()

    def line(self) -> dict[str, Any]:
        (line,) = self.text().splitlines()
        return cast("dict[str, Any]", json.loads(line))


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[_Logs]:
    logs = _Logs(tmp_path)
    yield logs
    logs.close()


def _dropped(metrics: Metrics) -> dict[str, float]:
    family = next(family for family in metrics.snapshot() if family.name == "gateway_log_lines_dropped_total")
    return {labels[0]: cast("float", count) for labels, count in family.samples}


def test_a_line_tells_all_of_a_request(logs: _Logs) -> None:
    exchange = _exchange()
    exchange.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    exchange.client = "192.0.2.7"
    exchange.error = "connection-broken"
    logs.access.write(exchange, 1000.2005)
    line = logs.line()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "request",
        "correlation_id": "0123456789abcdef",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "listener": "ingress",
        "client": "192.0.2.7",
        "peer": "10.1.2.3",
        "method": "POST",
        "path": "/api/generate",
        "route": "generate",
        "upstream": "app",
        "status": 200,
        "bytes_in": 120,
        "bytes_out": 1024,
        "total_ms": pytest.approx(200.5, abs=0.002),
        "upstream_ms": pytest.approx(150.0, abs=0.002),
        "gateway_ms": pytest.approx(50.5, abs=0.002),
        "error": "connection-broken",
    }


def test_what_there_is_nothing_to_say_of_is_left_out(logs: _Logs) -> None:
    exchange = _exchange()
    exchange.route = None
    exchange.upstream = ""
    exchange.upstream_seconds = 0.0
    logs.access.write(exchange, 1000.0)
    line = logs.line()
    assert not {"trace_id", "peer", "error"} & line.keys()
    assert (line["route"], line["upstream"], line["total_ms"], line["gateway_ms"]) == ("none", "", 0.0, 0.0)


def test_the_query_is_nowhere_in_a_line(logs: _Logs) -> None:
    logs.access.write(_exchange(), 1000.1)
    assert "hunter2" not in logs.text()


def test_the_path_is_the_clients_even_where_another_is_forwarded(logs: _Logs) -> None:
    exchange = _exchange(b"/openai/v1/models")
    exchange.path = b"/v1/models"
    logs.access.write(exchange, 1000.1)
    assert logs.line()["path"] == "/openai/v1/models"


def test_the_gateways_own_time_is_never_negative(logs: _Logs) -> None:
    exchange = _exchange()
    exchange.upstream_seconds = 5.0
    logs.access.write(exchange, 1000.1)
    assert logs.line()["gateway_ms"] == 0.0


@given(path=st.binary(), method=st.binary(), name=st.text(st.characters()))
@settings(max_examples=50)
def test_broken_bytes_never_raise_nor_break_the_line(
    tmp_path_factory: pytest.TempPathFactory, path: bytes, method: bytes, name: str
) -> None:
    for fmt in ("json", "text"):
        logs = _Logs(tmp_path_factory.mktemp("log"), fmt)
        exchange = _exchange()
        exchange.head.path = path
        exchange.head.method = method
        exchange.client = exchange.correlation_id = name
        logs.access.write(exchange, 1000.1)
        assert len(logs.text().splitlines()) == 1
        if fmt == "json":
            assert logs.line()["path"].encode("latin-1") == path


def test_text_format(tmp_path: Path) -> None:
    logs = _Logs(tmp_path, "text")
    logs.access.write(_exchange(), 1000.25)
    text = logs.text()
    assert " info    request correlation_id=0123456789abcdef listener=ingress " in text
    assert " method=POST path=/api/generate route=generate upstream=app status=200 " in text


def test_the_format_may_change_while_it_runs(logs: _Logs) -> None:
    logs.access.write(_exchange(), 1000.1)
    logs.access.configure(fmt="text")
    logs.access.write(_exchange(), 1000.1)
    first, second = logs.text().splitlines()
    assert first.startswith("{")
    assert " request correlation_id=" in second


async def test_a_pipe_that_never_drains_does_not_hold_the_loop_up(tmp_path: Path) -> None:
    metrics = Metrics()
    log_path = tmp_path / "log"
    with Pipe() as pipe, log_path.open("wb") as file:
        log = Log(file)
        access = AccessLog(pipe.writer, metrics, log, max_buffered=64 * 1024)
        exchange = _exchange()
        total = 20_000
        worst = 0.0
        for number in range(total):
            begun = time.monotonic()
            access.write(exchange, 1000.1)
            worst = max(worst, time.monotonic() - begun)
            if number % 100 == 0:
                await asyncio.sleep(0)
        assert worst < 1, "a request waited for the log"
        await asyncio.sleep(3 * DELAY)  # until the last of them are lines
        dropped = _dropped(metrics)["access"]
        assert dropped > total / 2
        assert access.health() == ("degraded", "access lines are being dropped: the sink is slow")

        lines = pipe.lines(total - int(dropped))
        assert all(json.loads(line)["event"] == "request" for line in lines), "what was kept is whole"
        wait_until(lambda: access.health() == ("healthy", ""))
        access.close()
        log.close()
    events = [json.loads(line) for line in log_path.read_text().splitlines()]
    assert [(event["level"], event["event"]) for event in events] == [
        ("warning", "access_log_dropping"),
        ("info", "access_log_recovered"),
    ]
    assert events[0]["reason"] == "the sink is slow"
    assert events[1]["dropped"] == dropped


async def test_lines_come_in_order_at_once_and_after_a_while(tmp_path: Path) -> None:
    logs = _Logs(tmp_path)
    for number in range(AT_ONCE + 3):
        exchange = _exchange()
        exchange.status = number
        logs.access.write(exchange, 1000.1)
    await asyncio.sleep(3 * DELAY)
    first = logs.access_path.read_text().splitlines()
    assert [json.loads(line)["status"] for line in first] == list(range(AT_ONCE + 3))
    logs.access.write(_exchange(), 1000.1)
    assert len(logs.text().splitlines()) == AT_ONCE + 4, "closing leaves nothing behind"


def test_a_reader_that_has_left_is_one_operational_line(tmp_path: Path) -> None:
    metrics = Metrics()
    log_path = tmp_path / "log"
    with Pipe() as pipe, log_path.open("wb") as file:
        log = Log(file)
        access = AccessLog(pipe.writer, metrics, log)
        pipe.stop_reading()
        for number in range(3):
            access.write(_exchange(), 1000.1)
            wait_until(lambda number=number: _dropped(metrics)["access"] == number + 1)  # type: ignore[misc]
        assert access.health() == ("degraded", "access lines are being dropped: Broken pipe")
        access.close()
        log.close()
    events = [json.loads(line) for line in log_path.read_text().splitlines()]
    assert [(event["event"], event["reason"]) for event in events] == [("access_log_dropping", "Broken pipe")]


def test_stdout_and_stderr_on_one_full_pipe_end_in_bounds() -> None:
    with Pipe() as pipe:
        metrics = Metrics()
        log = Log(pipe.writer)
        access = AccessLog(pipe.writer, metrics, log, max_buffered=64 * 1024)
        for _ in range(5000):
            access.write(_exchange(), 1000.1)
        begun = time.monotonic()
        access.close()
        log.close()
        assert time.monotonic() - begun < 6
