"""Who is refused too often is refused at once; and no credential is kept, told or listed."""

from __future__ import annotations

from gateway.errors import Blocked, RateLimited
from gateway.rules import rate_key
from tests.policies.rate_limit.site import Sent, Site, lines


def test_who_is_refused_too_often_is_blocked() -> None:
    site = Site("{limit: 1/min, by: ip, block: {after: 3, within: 10s, for: 5m}}")
    assert site.check() is None
    assert [type(site.check()) for _ in range(2)] == [RateLimited] * 2
    last = site.check()
    assert isinstance(last, RateLimited)
    assert last.retry_after == 300, "what is told holds for the block, too"
    asked = site.exchange()
    error = site.gate().check(asked, site.now)
    assert isinstance(error, Blocked)
    assert (error.status, error.slug, error.retry_after) == (429, "blocked", 300)
    assert lines(asked) == {"RateLimit-Policy": '"r-1";q=1;w=60', "RateLimit": '"r-1";r=0;t=300'}
    assert site.check(client="192.0.2.2") is None, "only the one"
    assert (site.counts().blocked, site.heard.events[-1]) == (1, ("blocked", "ingress/r/r-1", "192.0.2.1"))
    site.now += 300
    assert site.check() is None


def test_a_blocked_key_is_charged_nowhere() -> None:
    site = Site("[{limit: 5/min}, {limit: 1/min, by: ip, block: {after: 1}}]")
    assert [site.check() is None for _ in range(9)] == [True] + [False] * 8
    assert (site.counts().allowed, site.counts("ingress/r/r-2").blocked) == (1, 7)
    assert site.check(client="192.0.2.2") is None


def test_a_key_is_blocked_by_hand_without_a_block_in_the_config() -> None:
    site = Site("{limit: 100/min, by: ip}")
    site.limits.block("192.0.2.1", None, 60, "scraper")
    assert isinstance(site.check(), Blocked)
    assert site.check(client="192.0.2.2") is None
    assert site.limits.unblock("192.0.2.1", None) == 1
    assert site.check() is None


def test_a_block_without_an_end_tells_a_month() -> None:
    site = Site("{limit: 100/min, by: ip}")
    site.limits.block("192.0.2.1", None, float("inf"), "never again")
    error = site.check()
    assert isinstance(error, Blocked)
    assert error.retry_after == 30 * 86_400


def test_no_credential_is_kept_told_or_listed() -> None:
    site = Site("{limit: 1/min, by: [header:X-Api-Key, cookie:sid], block: {after: 1}}")
    sent: Sent = ((b"X-Api-Key", b"hunter2"), (b"Cookie", b"sid=hunter2"))
    errors = [site.check(*sent) for _ in range(3)]
    assert [type(error) for error in errors[1:]] == [RateLimited, Blocked]
    known = [*map(str, errors), *map(str, site.heard.events), str(site.limits.blocked())]
    known += [repr(name) for name in site.local._tats]
    assert len(known) == 7
    assert not any("hunter2" in text for text in known)
    assert site.heard.events[0][2].count(rate_key.hashed(b"hunter2").decode()) == 2
