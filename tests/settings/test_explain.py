"""Which model a place in the data belongs to, and that each kind of pydantic's errors has words of ours."""

from __future__ import annotations

import pytest

from gateway.policies.breaker import Breaker
from gateway.policies.timeout import Timeout, TimeoutOverride
from gateway.settings import Ingress, Limits, Pool, Route, Settings, Upstream
from gateway.settings.explain import section_at
from gateway.settings.reading import Loc
from gateway.settings.types import Section
from tests.settings.configs import SMALLEST, mistakes


@pytest.mark.parametrize(
    ("loc", "section"),
    [
        ((), Settings),
        (("ingress",), Ingress),
        (("ingress", "limits"), Limits),
        (("ingress", "routes", 3), Route),
        (("ingress", "routes", 3, "timeout"), TimeoutOverride),
        (("upstreams", "ingress"), Upstream),
        (("upstreams", "app", "timeout"), Timeout),
        (("upstreams", "app", "breaker"), Breaker),
        (("upstreams", "app", "pool"), Pool),
    ],
)
def test_the_section_at_a_place(loc: Loc, section: type[Section]) -> None:
    assert section_at(loc, Settings) is section


@pytest.mark.parametrize(
    "value", ["word", "5", "true", "'true'", "[]", "[a]", "{a: b}", "{[a]: b}", "{? : b}", "[[a]]"]
)
@pytest.mark.parametrize("key", ["ingress", "egress", "upstreams", "drain", "correlation", "metrics", "log"])
def test_no_mistake_is_without_words(key: str, value: str) -> None:
    lines = [line for line in SMALLEST.splitlines() if not line.startswith(key)]
    found = mistakes(
        "\n".join([f"{key}: {value}", *lines]) if key not in ("ingress", "upstreams") else f"{key}: {value}"
    )
    assert found
    assert not [message for message in found if "is not valid" in message or "Input should" in message]
