"""The README's configs are right, as the reference pages' are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway import settings
from gateway.policies import cache

README = (Path(__file__).parents[2] / "README.md").read_text()
CONFIGS = re.findall(r"^```yaml\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_every_config_loads_without_mistake_or_warning(number: int) -> None:
    assert settings.warnings(settings.loads(CONFIGS[number], f"README.md config {number}", {})) == []


def test_there_is_the_smallest_config_and_those_of_limits_cache_and_flags() -> None:
    smallest, *larger = [settings.loads(text, "README.md", {}) for text in CONFIGS]
    assert smallest.ingress is not None
    assert len(smallest.ingress.routes) == 1
    limited, cached, flagged = larger
    assert limited.ingress is not None
    assert limited.ingress.routes[0].rate_limit
    assert cached.ingress is not None
    assert all(cache.resolve(cached.ingress, route) is not None for route in cached.ingress.routes)
    assert flagged.flags.define
