"""The slowest of the last hour and the latest, however many there are; what is meant to last stands apart."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Exchange
from gateway.telemetry.slow_requests import LATEST, SLOWEST, SlowRequests
from tests.support.exchanges import exchange


@dataclass
class Route:
    name: str


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def over(target: bytes = b"/api/generate?key=hunter2", status: int = 200, *, streams: bool = False) -> Exchange:
    one = exchange(b"POST", target)
    one.route, one.status, one.streams = Route("generate"), status, streams
    one.upstream, one.upstream_seconds, one.correlation_id = "app", 1.5, "0123456789abcdef"
    return one


def test_what_is_kept_of_one() -> None:
    slow = SlowRequests(Clock())
    assert slow.note(over(), 2.5) == "response"
    (one,) = slow.latest(10)
    assert one._asdict() == {
        "seconds": 2.5,
        "when": 1_000_000.0,
        "kind": "response",
        "listener": "ingress",
        "route": "generate",
        "method": "POST",
        "path": "/api/generate",
        "status": 200,
        "upstream": "app",
        "upstream_seconds": 1.5,
        "cache": "",
        "error": "",
        "client": "192.0.2.1",
        "correlation_id": "0123456789abcdef",
    }


def test_a_long_path_is_cut_short() -> None:
    slow = SlowRequests(Clock())
    slow.note(over(b"/" + b"x" * 5000), 1.0)
    path = slow.latest(1)[0].path
    assert len(path) == 200
    assert path.endswith("x…")


def test_streams_and_tunnels_push_nothing_out() -> None:
    slow = SlowRequests(Clock())
    slow.note(over(), 1.5)
    for _ in range(1000):
        assert slow.note(over(streams=True), 3600.0) == "event_stream"
        assert slow.note(over(status=101), 3600.0) == "tunnel"
    assert [one.seconds for one in slow.slowest(10)] == [one.seconds for one in slow.latest(10)] == [1.5]
    assert slow.total == 1
    assert [one.kind for one in slow.lasting(3)] == ["tunnel", "event_stream", "tunnel"]
    assert len(slow.lasting(1000)) == LATEST


@given(st.lists(st.tuples(st.floats(1, 1000), st.floats(0, 400)), max_size=400))
def test_the_slowest_of_the_last_hour(passing: list[tuple[float, float]]) -> None:
    clock = Clock()
    slow = SlowRequests(clock)
    noted: list[tuple[float, float]] = []
    for seconds, passes in passing:
        clock.now += passes
        slow.note(over(), seconds)
        noted.append((seconds, clock.now))
    lately = sorted((seconds for seconds, when in noted if when > clock.now - 3600), reverse=True)
    assert [one.seconds for one in slow.slowest(SLOWEST)] == lately[:SLOWEST]
    assert [one.seconds for one in slow.latest(LATEST)] == [seconds for seconds, _ in reversed(noted)][:LATEST]
    assert slow.total == len(noted)


def test_how_many_lately() -> None:
    clock = Clock()
    slow = SlowRequests(clock)
    for _ in range(3):
        slow.note(over(), 1.0)
        clock.now += 100
    assert slow.since(clock.now - 300) == 3
    assert slow.since(clock.now - 250) == 2


def test_a_clock_that_is_set_back_breaks_nothing() -> None:
    clock = Clock()
    slow = SlowRequests(clock)
    slow.note(over(), 1.0)
    clock.now -= 1e5
    for _ in range(10):
        slow.note(over(), 2.0)
    assert slow.slowest(1)[0].seconds == 2.0
