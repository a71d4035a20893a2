"""`when:` where it may stand, and which flags are asked for it."""

from __future__ import annotations

import pytest

from gateway.policies import when
from tests.settings.configs import mistakes, read

EVERYWHERE = """
ingress:
  rate_limit: {limit: 1/s, when: LISTENER}
  in_flight: {limit: 1, when: LISTENER}
  cache: {when: LISTENER}
  routes:
    - path: /a
      upstream: app
      when: [ROUTE, {flag: COLOUR, variant: [blue, green]}]
      cache: {when: {flag: CACHE}}
      rate_limit: {limit: 1/s, when: {flag: LIMIT, on: false}}
      in_flight: [{limit: 3, when: CAP}, 5]
    - {path: /**, upstream: app}
upstreams:
  app: {url: http://x, breaker: {when: BREAKER}, in_flight: {limit: 1, when: CAP}}
flags: {define: {LISTENER: true, ROUTE: true, COLOUR: true, CACHE: true, LIMIT: true, CAP: true, BREAKER: true}}
"""


def test_where_it_stands() -> None:
    settings = read(EVERYWHERE)
    assert settings.ingress is not None
    first, last = settings.ingress.routes
    assert [str(wanted) for wanted in first.when] == ["ROUTE is on", "COLOUR is on as one of [blue, green]"]
    assert first.rate_limit is not None
    assert first.in_flight is not None
    assert [str(wanted) for wanted in first.rate_limit[0].when] == ["LIMIT is off"]
    assert list(when.names([first, first.cache, *first.rate_limit, *first.in_flight, None])) == [
        *("ROUTE", "COLOUR", "CACHE", "LIMIT", "CAP")
    ]
    app = settings.upstreams["app"]
    assert app.in_flight is not None
    assert list(when.names([app.breaker, *app.in_flight])) == ["BREAKER", "CAP"]
    assert list(when.names([last])) == []


@pytest.mark.parametrize("key", ["LISTENER", "ROUTE", "COLOUR", "CACHE", "LIMIT", "CAP", "BREAKER"])
def test_every_flag_named_anywhere_must_be_there(key: str) -> None:
    without = EVERYWHERE.replace(f"{key}: true", "OTHER: true")
    found = mistakes(without)
    assert found
    assert all(f"no flag is called '{key}'" in one for one in found)
    named = EVERYWHERE.count(key) - 1
    assert len(found) == named


def test_nothing_else_stands_under_a_flag() -> None:
    (found,) = mistakes(EVERYWHERE.replace("ingress:\n", "ingress:\n  when: ROUTE\n"))
    assert "unknown key 'when'" in found
