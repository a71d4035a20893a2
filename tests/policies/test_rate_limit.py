"""The gate: whom it lets through, what it charges, and what clients, counts and events are told."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Blocked, KeyMissing, RateLimited
from gateway.gate import Verdict
from gateway.policies import rate_limit
from gateway.state.memory import MemoryBuckets
from gateway.state.rate_rules import RateLimits
from tests.policies.rate_limit.site import Heard, Sent, Site, lines, user
from tests.settings.configs import read

# ---- rules, names and ids


def test_rules_are_named_after_their_place() -> None:
    site = Site("[{limit: 1/s}, {limit: 1/s, name: mine}, {limit: 1/s}]", own="{limit: 1/s}")
    assert [rule.id for rule in site.limits.rules()] == [
        "ingress//ingress-1",
        "ingress/r/r-1",
        "ingress/r/mine",
        "ingress/r/r-3",
    ]
    assert [(rule.counts.route, rule.counts.name) for rule in site.limits.rules()][:2] == [
        ("ingress", "ingress-1"),
        ("r", "r-1"),
    ]


def test_a_default_name_gives_way_to_a_written_one() -> None:
    site = Site("[{limit: 1/s}, {limit: 1/s, name: r-1}]", own="{limit: 1/s, name: r-2}")
    assert [rule.name for rule in site.limits.rules()] == ["r-2", "r-1 #2", "r-1"]


def test_ids_differ_whatever_routes_are_called() -> None:
    settings = read("""
        ingress:
          routes:
            - {path: /a, upstream: app, rate_limit: {limit: 1/s}}
            - {path: /a/, upstream: app, rate_limit: {limit: 1/s, name: a-1}}
        upstreams: {app: {url: "http://x"}}
    """).ingress
    assert settings is not None
    rules = rate_limit.build("ingress", settings, RateLimits(MemoryBuckets(), MemoryBuckets()), Heard()).rules
    assert len({rule.id for rule in rules}) == 2


def test_a_listeners_rule_is_one_for_all_its_routes_but_those_without() -> None:
    site = Site("[]", own="{limit: 2/min}")
    assert site.check() is None
    assert site.check(route=1) is None
    assert isinstance(site.check(), RateLimited)
    assert isinstance(site.check(route=1), RateLimited)
    assert site.gates[2] is None, "false is none of the listener's either"
    assert site.unrouted is not None
    assert isinstance(site.unrouted.check(site.exchange(), site.now), RateLimited)


def test_a_route_without_rules_has_no_gate() -> None:
    site = Site("[]")
    assert site.gates == [None, None, None]
    assert site.unrouted is None
    assert rate_limit.fields_read("ingress", site.settings) == set()


def test_the_fields_that_are_read() -> None:
    site = Site("[{limit: 1/s, by: user}, {limit: 1/s, by: cookie:sid}]", own="{limit: 1/s, by: header:X-Org}")
    found = {b"x-user-id", b"cookie", b"x-org", b"user-agent"}
    assert rate_limit.fields_read("ingress", site.settings) == found
    assert rate_limit.fields_read("egress", site.settings) == found - {b"user-agent"}


def test_tokens_counts_and_blocks_outlive_a_reload() -> None:
    site = Site("{limit: 2/min, block: {after: 2}}")
    assert [site.check() is None for _ in range(4)] == [True, True, False, False]
    site.build()
    assert isinstance(site.check(), Blocked)
    site.limits.unblock("*", None)
    assert isinstance(site.check(), RateLimited)
    assert (site.counts().allowed, site.counts().refused, site.counts().blocked) == (2, 3, 1)


# ---- what a client sees


def test_a_client_is_told_what_is_left() -> None:
    site = Site("[{limit: 60/min, name: one}, {limit: 100/10s, burst: 5, by: ip}]")
    asked = site.exchange()
    asked.stamp = b"X-Correlation-ID: c\r\n"
    assert site.gate().check(asked, site.now) is None
    assert lines(asked) == {
        "X-Correlation-ID": "c",
        "RateLimit-Policy": '"one";q=60;w=60, "r-2";q=100;w=10',
        "RateLimit": '"one";r=59;t=1, "r-2";r=4;t=1',
    }


def test_a_refusal_says_which_and_how_long() -> None:
    site = Site("[{limit: 2/min}, {limit: 1/h, by: ip, name: hourly}]")
    assert site.check() is None
    asked = site.exchange()
    error = site.gate().check(asked, site.now)
    assert isinstance(error, RateLimited)
    assert (error.status, error.slug, error.proxy_error) == (429, "rate-limited", "http_request_denied")
    assert error.detail == "The rate limit 'hourly' is reached."
    assert error.fields() == [(b"Retry-After", b"3600")]
    assert lines(asked)["RateLimit"] == '"r-1";r=1;t=30, "hourly";r=0;t=3600'
    assert site.heard.events == [("limited", "ingress/r/hourly", "192.0.2.1")]


def test_of_several_that_refuse_the_longest_wait_is_told() -> None:
    site = Site("[{limit: 1/h}, {limit: 1/day, name: daily}, {limit: 1/min}]")
    assert site.check() is None
    error = site.check()
    assert isinstance(error, RateLimited)
    assert (error.retry_after, "'daily'" in error.detail) == (86_400, True)
    assert [one[1] for one in site.heard.events] == [f"ingress/r/{name}" for name in ("r-1", "daily", "r-3")]


def test_what_costs_more_than_ever_passes_says_so() -> None:
    site = Site("[{limit: 10B/s}, {limit: 1/h}]")
    assert site.check() is None
    asked = site.exchange((b"Content-Length", b"11"), method=b"POST")
    error = site.gate().check(asked, site.now)
    assert isinstance(error, RateLimited)
    assert error.retry_after is None
    assert error.fields() == []
    assert error.detail == "This costs more than the rate limit 'r-1' ever lets through at once."


@given(
    st.integers(1, 50),
    st.sampled_from(["s", "min", "10s", "h"]),
    st.integers(1, 20),
    st.integers(1, 20),
    st.lists(st.floats(0, 30), max_size=30),
)
def test_whoever_waits_as_told_is_let_in(limit: int, unit: str, burst: int, cost: int, pauses: list[float]) -> None:
    site = Site(f"{{limit: {limit}/{unit}, burst: {max(burst, cost)}, cost: {cost}, by: ip}}")
    for pause in pauses:
        site.now += pause
        error = site.check()
        if isinstance(error, RateLimited):
            assert error.retry_after is not None
            site.now += error.retry_after + 1e-6  # a float of seconds does not hold every picosecond
            assert site.check() is None


@given(st.floats(0, 86_400 * 3), st.sampled_from(["hour", "day", "month"]))
def test_a_quota_begins_again_when_it_said(passed: float, unit: str) -> None:
    site = Site(f"{{limit: 2/calendar-{unit}, zone: America/New_York, by: ip}}")
    site.wall += passed
    assert [site.check() is None for _ in range(2)] == [True, True]
    error = site.check()
    assert isinstance(error, RateLimited)
    assert error.retry_after is not None
    site.wall += error.retry_after
    assert site.check() is None


def test_a_quotas_policy() -> None:
    site = Site("[{limit: 5/calendar-day, name: d}, {limit: 7/calendar-month, name: m}, {limit: 1KiB/s, name: b}]")
    asked = site.exchange()
    assert site.gate().check(asked, site.now) is None
    assert lines(asked)["RateLimit-Policy"] == '"d";q=5;w=86400, "m";q=7, "b";q=1024;qu="content-bytes";w=1'


# ---- who is counted


def test_callers_have_buckets_of_their_own() -> None:
    site = Site("{limit: 1/min, by: user}")
    assert site.check(user(b"a")) is None
    assert site.check(user(b"b")) is None
    assert isinstance(site.check(user(b"a")), RateLimited)


def test_requests_without_the_key_share_one() -> None:
    site = Site("{limit: 1/min, by: user}")
    assert site.check() is None
    assert isinstance(site.check(client="192.0.2.2"), RateLimited)
    assert site.check(user(b"a")) is None


def test_requests_without_the_key_may_pass() -> None:
    site = Site("{limit: 1/min, by: user, absent: skip}")
    asked = site.exchange()
    assert site.gate().check(asked, site.now) is None
    assert site.gate().check(asked, site.now) is None
    assert asked.stamp == b"", "nothing limited it"
    assert (site.counts().skipped, site.counts().allowed) == (2, 0)


def test_requests_without_the_key_may_be_refused() -> None:
    site = Site("{limit: 1/min, by: user, absent: refuse}")
    error = site.check()
    assert isinstance(error, KeyMissing)
    assert "'r-1'" in error.detail
    assert site.check(user(b"a")) is None


def test_the_rules_that_apply_are_the_ones_that_are_told() -> None:
    site = Site("[{limit: 9/min, by: user, absent: skip}, {limit: 5/min}, {limit: 7/min, except: [10.0.0.0/8]}]")
    for sent, client, told in [
        ((user(b"a"),), "192.0.2.1", ["r-1", "r-2", "r-3"]),
        ((), "192.0.2.1", ["r-2", "r-3"]),
        ((), "10.1.2.3", ["r-2"]),
    ]:
        asked = site.exchange(*sent, client=client)
        assert site.gate().check(asked, site.now) is None
        for field in lines(asked).values():
            assert re.findall(r'"([^"]*)";[qr]', field) == told


def test_exceptions_are_by_the_clients_address() -> None:
    site = Site("{limit: 1/min, except: [10.0.0.0/8, fd00::/8]}")
    for client in ("10.1.2.3", "10.1.2.3", "fd00::1", "::ffff:10.0.0.1"):
        assert site.check(client=client) is None
    assert site.counts().skipped == 4
    assert site.check(client="11.0.0.1") is None
    assert isinstance(site.check(client="11.0.0.1"), RateLimited)


PROBE = (b"User-Agent", b"kube-probe/1.31")


def test_probes_pass_uncounted() -> None:
    site = Site("[{limit: 1/min}, {limit: 2/min, probes: false}]")
    assert [site.check(PROBE, client="10.0.0.1") is None for _ in range(3)] == [True, True, False]
    assert (site.counts().skipped, site.counts().allowed) == (3, 0)
    assert site.counts("ingress/r/r-2").allowed == 2


def test_a_probe_through_a_proxy_is_none() -> None:
    site = Site("{limit: 1/min}")
    sent: Sent = (PROBE, (b"X-Forwarded-For", b"8.8.8.8"))
    assert [site.check(*sent, client="10.0.0.1") is None for _ in range(2)] == [True, False]


def test_a_parameter_of_the_path() -> None:
    site = Site('{limit: 1/min, by: "path:id"}')
    results = [site.gate().check(site.exchange(target=target), site.now) for target in (b"/r/1", b"/r/2", b"/r/%31")]
    assert [one is None for one in results] == [True, True, False]


def test_a_listener_says_who_its_user_is() -> None:
    site = Site("{limit: 1/min, by: user}", user="header:X-Account")
    assert site.check((b"X-Account", b"a"), user(b"1")) is None
    assert site.check((b"X-Account", b"b"), user(b"1")) is None


# ---- what is charged


def test_none_is_charged_when_one_refuses() -> None:
    site = Site("[{limit: 10/min}, {limit: 1/min, by: ip}]")
    assert [site.check() is None for _ in range(5)] == [True, False, False, False, False]
    assert site.check(client="192.0.2.2") is None
    asked = site.exchange(client="192.0.2.3")
    site.gate().check(asked, site.now)
    assert lines(asked)["RateLimit"].startswith('"r-1";r=7;')
    assert (site.counts().allowed, site.counts().refused) == (3, 0)


def test_a_cost_is_taken_at_once() -> None:
    site = Site("{limit: 10/min, cost: 4}")
    assert [site.check() is None for _ in range(3)] == [True, True, False]


def test_bytes_of_a_body_that_is_announced() -> None:
    site = Site("{limit: 100B/min}")

    def upload(size: int) -> Verdict:
        sent = (b"Content-Length", b"%d" % size)
        return site.gate().check(site.exchange(sent, method=b"POST"), site.now)

    assert upload(60) is None
    assert isinstance(upload(60), RateLimited)
    assert upload(40) is None
    assert site.check() is None, "no body costs nothing"


def test_bytes_of_a_body_that_comes_in_chunks_are_charged_at_the_end() -> None:
    site = Site("{limit: 100B/min, by: ip}")
    asked = site.exchange((b"Transfer-Encoding", b"chunked"), method=b"POST")
    assert site.gate().check(asked, site.now) is None
    asked.body.feed(b"x" * 250)
    assert site.check() is None, "not yet"
    asked.end()
    error = site.check()
    assert isinstance(error, RateLimited)
    assert error.retry_after == 90, "150 over, at 100 a minute"
    site.now += 90
    assert site.check() is None


def test_a_shadow_counts_and_refuses_nothing() -> None:
    site = Site("[{limit: 1/min, shadow: true, name: dark}, {limit: 3/min}]")
    asked = site.exchange()
    assert site.gate().check(asked, site.now) is None
    assert "dark" not in asked.stamp.decode()
    assert [site.check() is None for _ in range(3)] == [True, True, False]
    dark = site.counts("ingress/r/dark")
    assert (dark.allowed, dark.refused, dark.shadow_refused) == (1, 0, 3)
    assert site.heard.events.count(("shadow", "ingress/r/dark", "*")) == 3


def test_a_shadow_does_not_ask_for_a_key() -> None:
    assert Site("{limit: 1/min, by: user, absent: refuse, shadow: true}").check() is None
