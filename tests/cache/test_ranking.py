"""What operators see of a stored response."""

from __future__ import annotations

import pytest

from gateway.cache.ranking import ranked, shown
from gateway.rules.purge import name_of
from tests.cache.entries import entry


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        (b"/a/b", "/a/b"),
        (b"/a?", "/a?..."),
        (b"/a?token=secret&page=2", "/a?token&page"),
        (b"/a?x=1;key=secret", "/a?x&key"),
        (b"/a?secret", "/a?..."),
        (b"/a?x=y=z?w=v", "/a?x"),
        (b"/\xff\x1b[31m", "/??[31m"),
        (b"/" + b"x" * 300, "/" + "x" * 199 + "..."),
    ],
)
def test_values_of_parameters_are_not_shown(target: bytes, seen: str) -> None:
    assert shown(target) == seen


def test_a_row() -> None:
    one = entry(b"key", received=1000.0, lifetime=60)
    row = ranked(one, 3, 2000, 1010.0)
    assert row.name == name_of(b"key")
    assert (row.host, row.target, row.hits, row.size) == ("example.org", "/page?a", 3, 2000)
    assert (row.age, row.ttl) == (10.5, 49.5)
