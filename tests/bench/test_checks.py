"""The bench's own checks catch a run that was not what it seems."""

import dataclasses

import pytest

from tests.bench import checks
from tests.bench.origin import Tally
from tests.bench.proxies import PROXIES
from tests.bench.wrk import Load

GOOD = Load(seconds=1.0, requests=1000, bytes=1_200_000, p50=100, p99=200, bad_status=0, socket_errors=0)
SEEN = Tally(requests=1010, opened=64, ids=frozenset(map(str, range(1010))))


def wrong(measured: Load = GOOD, tally: Tally = SEEN) -> list[str]:
    return [
        *checks.answers(measured, connections=64, length=1200),
        *checks.forwarded(measured, tally, connections=64, request_id=True),
    ]


def test_a_good_run_passes() -> None:
    assert wrong() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bad_status": 3}, "3 answers with an error status"),
        ({"socket_errors": 1}, "1 socket errors or timeouts"),
        ({"bytes": 200_000}, "200000 bytes for 1000 answers, 1200000 expected"),
        ({"requests": 1200, "bytes": 1_440_000}, "wrk counted 1200 answers, the origin 1010 requests"),
    ],
)
def test_what_wrk_saw(change: dict[str, int], said: str) -> None:
    assert wrong(measured=dataclasses.replace(GOOD, **change)) == [said]


@pytest.mark.parametrize(
    ("tally", "said"),
    [
        (dataclasses.replace(SEEN, opened=1010), "not kept alive"),
        (dataclasses.replace(SEEN, ids=frozenset()), "0 different request ids in 1010 requests"),
        (dataclasses.replace(SEEN, ids=frozenset({"one"})), "1 different request ids in 1010 requests"),
        (Tally(2000, 64, frozenset(map(str, range(2000)))), "wrk counted 1000 answers, the origin 2000 requests"),
    ],
)
def test_what_the_origin_saw(tally: Tally, said: str) -> None:
    (line,) = wrong(tally=tally)
    assert said in line


def test_a_proxy_that_makes_no_request_id_is_not_asked_for_one() -> None:
    tally = dataclasses.replace(SEEN, ids=frozenset())
    assert list(checks.forwarded(GOOD, tally, connections=64, request_id=False)) == []


def test_access_lines_are_counted() -> None:
    assert list(checks.logged(995, 1000)) == []
    assert list(checks.logged(900, 1000)) == ["900 lines in the access log for 1000 requests"]


DECISION = 'gateway_rate_limit_decisions_total{route="all",rule="%s",decision="%s"} %s'
ALLOWED = next(proxy.allowed for proxy in PROXIES if proxy.name == "gateway")


def page(*decisions: tuple[str, str, str]) -> str:
    return "# TYPE gateway_rate_limit_decisions_total counter\n" + "\n".join(DECISION % one for one in decisions)


def test_every_request_meets_every_limit() -> None:
    both = page(("all-1", "allowed", "1000.0"), ("all-2", "allowed", "1e+03"))
    assert list(checks.decided(both, ALLOWED, 2000)) == []
    one = page(("all-1", "allowed", "1000.0"), ("all-2", "refused", "1000.0"))
    assert list(checks.decided(one, ALLOWED, 2000)) == ["its rate limits let 1000 pass, 2000 expected"]
    assert list(checks.decided("", ALLOWED, 2000)) == ["its rate limits let 0 pass, 2000 expected"]


def test_shared_limits_are_shared() -> None:
    def with_fallbacks(count: str) -> list[str]:
        return list(checks.decided(page(("a", "allowed", "2000"), ("a", "fallback", count)), ALLOWED, 2000))

    assert with_fallbacks("12.0") == []
    assert with_fallbacks("700.0") == ["its rate limits decided 700 of 2000 without Redis"]


def test_envoys_limits_are_counted() -> None:
    allowed = next(proxy.allowed for proxy in PROXIES if proxy.name == "envoy")
    text = 'envoy_http_local_rate_limit_ok{envoy_local_http_ratelimit_prefix="limits"} 999'
    assert list(checks.decided(text, allowed, 1000)) == []


def test_a_hit_does_not_reach_the_origin() -> None:
    assert list(checks.hits(Tally(0, 0, frozenset()))) == []
    (line,) = checks.hits(Tally(3, 1, frozenset({"one"})))
    assert line == "3 requests reached the origin, which hits do not"


def test_hits_are_counted() -> None:
    hits = next(proxy.hits for proxy in PROXIES if proxy.name == "gateway")
    text = 'gateway_cache_requests_total{route="all",result="%s"} 1000.0'
    assert list(checks.counted_hits(text % "hit", hits, 1000)) == []
    assert list(checks.counted_hits(text % "miss", hits, 1000)) == ["it counts 0 hits, 1000 expected"]
