"""Rules of `rate_limit`: their ways to be written, their defaults, and what does not go together."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from gateway.rules.gcra import Rate
from gateway.rules.rate_key import Term
from gateway.settings.rate_rule import RateRule
from gateway.settings.rates import BYTES, Quota
from tests.settings.configs import SMALLEST, mistake, mistakes, of_route, read


def rules(written: str) -> tuple[RateRule, ...] | None:
    ingress = read(of_route(rate_limit=written)).ingress
    assert ingress is not None
    return ingress.routes[0].rate_limit


def rule(written: str) -> RateRule:
    found = rules(written)
    assert found is not None
    (only,) = found
    return only


def test_defaults() -> None:
    found = rule("{limit: 10/min}")
    assert found == RateRule(limit=Quota(10, 60))
    assert (found.burst, found.by, found.cost, found.absent) == (None, (Term("route"),), 1, "share")
    assert (found.ipv6_prefix, found.except_, found.probes, found.shadow) == (64, (), True, False)
    assert (found.block, found.shared, found.mode) == (None, None, "exact")
    assert rule("{limit: 10/min}").tokens == Rate(10, 60, 10)


def test_everything_written() -> None:
    found = rule(
        "{limit: 1000/day, burst: 50, by: [ip, cookie:sid], name: daily, cost: 5, absent: skip, ipv6_prefix: 56,"
        " except: [10.0.0.0/8], probes: false, block: {after: 3, within: 5s, for: 1h}, shared: true, mode: leased}"
    )
    assert (found.by, found.name, found.cost) == ((Term("ip"), Term("cookie", "sid")), "daily", 5)
    assert (found.absent, found.ipv6_prefix, found.except_) == ("skip", 56, (ip_network("10.0.0.0/8"),))
    assert (found.probes, found.shared, found.mode) == (False, True, "leased")
    assert found.tokens == Rate(1000, 86_400, 50)
    assert found.block is not None
    assert (found.block.after, found.block.within, found.block.for_) == (3, 5, 3600)
    assert found.block.rule.seconds == 3600


def test_one_rule_needs_no_list_and_false_is_none() -> None:
    assert rules("{limit: 1/s}") == rules("[{limit: 1/s}]")
    assert rules("false") is None
    assert rules("[]") == ()
    assert rule("{limit: 1/s, by: ip}").by == rule("{limit: 1/s, by: [ip]}").by


def test_a_listener_takes_the_same() -> None:
    ingress = read(SMALLEST.replace("ingress:\n", "ingress:\n  rate_limit: {limit: 5/s, by: ip}\n")).ingress
    assert ingress is not None
    assert ingress.rate_limit == (RateRule(limit=Quota(5, 1), by=(Term("ip"),)),)
    assert ingress.user == Term("header", "X-User-Id")


def test_a_limit_in_bytes_counts_bytes() -> None:
    assert rule("{limit: 1MiB/s}").in_bytes
    assert rule("{limit: 1000000/s, cost: bytes}").cost == BYTES
    assert not rule("{limit: 5/s}").in_bytes
    assert rule("{limit: 1MiB/s, burst: 4MiB}").tokens == Rate(1 << 20, 1, 4 << 20)


def test_a_block_has_its_defaults() -> None:
    found = rule("{limit: 1/s, block: {}}").block
    assert found is not None
    assert (found.after, found.within, found.for_) == (20, 60, 600)
    assert rule("{limit: 1/s, block: false}").block is None


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("{}", "needs limit"),
        ("5/s", "must be a mapping"),
        ("{limit: 10/m}", "write min for a minute"),
        ("{limit: 1/s, brst: 2}", "unknown key 'brst'; did you mean 'burst'?"),
        ("{limit: 1/s, except_: []}", "unknown key 'except_'; did you mean 'except'?"),
        ("{limit: 1/s, block: {fr: 1m}}", "unknown key 'fr'; did you mean 'for'?"),
        ("{limit: 1/s, burst: 0}", "out of range"),
        ("{limit: 1/s, by: []}", "needs at least one item"),
        ("{limit: 1/s, by: [ip, header]}", "needs a proper name behind header:"),
        ("{limit: 1/s, except: [10.0.0.1/8]}", "has bits set behind its prefix"),
        ("{limit: 1/s, except: 10.0.0.0/8}", "must be a list"),
        ("{limit: 1/s, ipv6_prefix: 129}", "out of range: 1 to 128"),
        ("{limit: 1/s, absent: allow}", "'allow' is not known"),
        ("{limit: 1/s, name: é}", "cannot be a name"),
        ("{limit: 1/s, block: {after: 0}}", "out of range"),
        ("{limit: 1/s, block: {for: 40d}}", "out of range: 1s to 30d"),
        ("{limit: 5/calendar-day, burst: 3}", "a calendar's quota has no burst"),
        ("{limit: 5/day, zone: Europe/Berlin}", "only a calendar's quota has a zone"),
        ("{limit: 5/calendar-day, zone: Europa/Berlin}", "did you mean 'Europe/Berlin'?"),
        ("{limit: 5/s, cost: 6}", "no request would ever pass: one costs more than 5"),
        ("{limit: 5/s, burst: 2, cost: 3}", "one costs more than 2"),
        ("{limit: 1MiB/s, cost: 3}", "a limit in bytes has the cost bytes"),
        ("{limit: 5/s, shadow: true, block: {}}", "a shadow rule refuses nothing"),
        ("{limit: 5/s, shared: false, mode: leased}", "tokens are leased from the shared state only"),
        ("{limit: 1MiB/s, mode: leased}", "bytes cannot be leased ahead"),
        ("{limit: 5/s, cost: bytes, mode: leased}", "bytes cannot be leased ahead"),
    ],
)
def test_what_a_rule_refuses(written: str, found: str) -> None:
    only = mistake(of_route(rate_limit=written))
    assert found in only
    assert only.startswith("3:")


def test_a_mistake_has_its_place_with_a_list_and_without() -> None:
    alone = mistake(of_route(rate_limit="{limit: 1/s, by: ipp}"))
    listed = mistake(of_route(rate_limit="[{limit: 1/s, by: [ipp]}]"))
    for found, at in ((alone, "by: ipp"), (listed, "[ipp")):
        line = of_route(rate_limit="{limit: 1/s, by: ipp}" if found is alone else "[{limit: 1/s, by: [ipp]}]")
        column = line.splitlines()[2].index(at) + len(at) - 2
        assert found.startswith(f"3:{column}: ")


def test_every_mistake_is_found_in_one_run() -> None:
    assert len(mistakes(of_route(rate_limit="[{limit: 1/m, by: x}, {limit: 2/m, zone: Y}, {}]"))) == 5


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{limit: 10/min}", "10/min, by route"),
        ("{limit: 10/min, burst: 3, by: [ip, user], cost: 2}", "10/min, burst 3, by ip, user, cost 2"),
        ("{limit: 5/calendar-day, zone: Europe/Berlin}", "5/calendar-day, Europe/Berlin, by route"),
        ("{limit: 1MiB/s, shadow: true}", "1MiB/s, by route, cost bytes, shadow"),
        ("{limit: 1/s, block: {}}", "1/s, by route, blocks after 20 in 1m for 10m"),
    ],
)
def test_a_rule_in_words(written: str, words: str) -> None:
    assert str(rule(written)) == words


def test_a_rule_for_programs() -> None:
    shown: dict[str, Any] = {
        "limit": 5,
        "period": None,
        "calendar": "day",
        "burst": 5,
        "by": ["ip"],
        "shadow": False,
        "block": {"after": 20, "within": 60, "seconds": 600},
    }
    assert rule("{limit: 5/calendar-day, by: ip, block: {}}").shown == shown
    assert rule("{limit: 5/s}").shown["period"] == 1
