"""What is counted while traffic passes: nothing is lost, and no client can make labels without end."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.counters import (
    BREAKER_STATES,
    METHODS,
    OTHER_METHOD,
    OUTCOMES_PER_UPSTREAM,
    PAIRS_PER_ROUTE,
    ConfigMetrics,
    ListenerMetrics,
    RouteMetrics,
    UpstreamMetrics,
)

# The IANA registry of methods, the further ones of llhttp's own table, and one of nobody's.
_CANDIDATES = b"""ACL ANNOUNCE BASELINE-CONTROL BIND BREW CHECKIN CHECKOUT CONNECT COPY DELETE DESCRIBE FLUSH GET
GET_PARAMETER HEAD LABEL LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MKREDIRECTREF MKWORKSPACE MOVE NOTIFY
OPTIONS ORDERPATCH PATCH PAUSE PLAY POST PRI PROPFIND PROPPATCH PURGE PUT QUERY REBIND RECORD REDIRECT REPORT SEARCH
SET_PARAMETER SETUP SOURCE SUBSCRIBE TEARDOWN TRACE UNBIND UNCHECKOUT UNLINK UNLOCK UNSUBSCRIBE UPDATE
UPDATEREDIRECTREF VERSION-CONTROL WHATEVER""".split()


class _Heads:
    """Counts the heads that llhttp finds whole."""

    def __init__(self) -> None:
        self.count = 0

    def on_headers_complete(self) -> None:
        self.count += 1


def _let_in(method: bytes) -> bool:
    heads = _Heads()
    target = b"example.com:443" if method == b"CONNECT" else b"/"
    try:
        httptools.HttpRequestParser(heads).feed_data(method + b" " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    except httptools.HttpParserUpgrade:
        return True
    except httptools.HttpParserError:
        return False
    return heads.count == 1


def test_the_methods_are_those_that_llhttp_lets_in() -> None:
    assert {method for method in _CANDIDATES if _let_in(method)} == METHODS


@given(st.lists(st.tuples(st.sampled_from([*sorted(METHODS), b"BREW", b"\xff\n"]), st.integers(100, 999))))
def test_requests_are_counted_by_method_and_status(ends: list[tuple[bytes, int]]) -> None:
    route = RouteMetrics("ingress", "all")
    for method, status in ends:
        route.begin()
        route.end(method, status, 0.01)
    expected: dict[tuple[bytes, int], int] = {}
    for method, status in ends:
        key = (method if method in METHODS else OTHER_METHOD, status)
        expected[key] = expected.get(key, 0) + 1
    assert route.requests == expected
    assert route.in_flight == 0
    assert sum(route.duration.counts) == len(ends)


def test_in_flight_is_what_has_begun_and_not_ended() -> None:
    route = RouteMetrics("ingress", "all")
    route.begin()
    route.begin()
    route.end(b"GET", 200, 0.1)
    assert route.in_flight == 1


def test_a_client_cannot_fill_the_memory_with_pairs() -> None:
    route = RouteMetrics("ingress", "all")
    route.end(b"GET", 200, 0.1)
    for method in sorted(METHODS):
        for status in range(100, 1000):
            route.end(method, status, 0.1)
    for number in range(5000):
        route.end(b"M%d" % number, 200, 0.1)
    assert len(route.requests) <= PAIRS_PER_ROUTE + 900
    assert sum(route.requests.values()) == 1 + 900 * len(METHODS) + 5000
    assert route.requests[b"GET", 200] == 2


@pytest.mark.parametrize("status", [0, 99, 1000, -1])
def test_what_is_no_status_has_one_label(status: int) -> None:
    route = RouteMetrics("ingress", "all")
    route.end(b"GET", status, 0.1)
    route.end(b"GET", status, 0.1)
    assert route.requests == {(b"GET", 0): 2}


def test_upstream_calls_are_counted_by_outcome() -> None:
    upstream = UpstreamMetrics("app")
    upstream.begin()
    upstream.begin()
    upstream.end("ok", 0.2)
    upstream.refuse("breaker-open")
    assert upstream.outcomes == {"ok": 1, "breaker-open": 1}
    assert upstream.in_flight == 1
    assert sum(upstream.duration.counts) == 1, "a call that never began took no time"


def test_outcomes_are_bounded() -> None:
    upstream = UpstreamMetrics("app")
    for number in range(1000):
        upstream.refuse(f"outcome-{number}")
    assert len(upstream.outcomes) == OUTCOMES_PER_UPSTREAM + 1
    assert sum(upstream.outcomes.values()) == 1000


def test_transitions_are_there_before_the_first() -> None:
    upstream = UpstreamMetrics("app")
    assert upstream.all_transitions() == {}
    upstream.watch_breaker(lambda: 0)
    assert upstream.all_transitions() == dict.fromkeys(BREAKER_STATES, 0)
    upstream.transition("open")
    upstream.watch_breaker(lambda: 2)
    assert upstream.all_transitions() == {"closed": 0, "half_open": 0, "open": 1}, "a reload must not forget"
    upstream.watch_breaker(None)
    assert upstream.all_transitions() == {"open": 1}


def test_connections_and_what_came_over_them() -> None:
    listener = ListenerMetrics("ingress")
    listener.opened()
    listener.opened()
    listener.closed()
    listener.refuse()
    listener.malformed_request()
    assert (listener.connections, listener.refused, listener.malformed) == (1, 1, 1)


def test_a_failed_reload_keeps_the_time_of_the_last_good_one() -> None:
    config = ConfigMetrics(loaded_at=100.0)
    config.reloaded(ok=True, at=200.0)
    config.reloaded(ok=False, at=300.0)
    assert (config.ok, config.loaded_at) == (False, 200.0)
    assert config.results == {"success": 1, "failure": 1}
    config.reloaded(ok=True, at=400.0)
    assert (config.ok, config.loaded_at) == (True, 400.0)
