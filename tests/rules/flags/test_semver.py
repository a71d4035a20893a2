"""Versions and their order (Semantic Versioning 2.0.0)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags.semver import LONGEST, parse


def test_the_order_that_section_11_gives_as_an_example() -> None:
    texts = [
        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
        "1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1", "2.1.10",
    ]  # fmt: skip
    versions = [parse(text) for text in texts]
    assert None not in versions
    assert versions == sorted(set(versions), key=lambda one: one or ())  # type: ignore[type-var]


@pytest.mark.parametrize(
    "text", ["v1.0.0", "1.0", "1", "01.0.0", "1.0.0-01", "1.0.0-", "1.0.0-a..b", "1.0.0+", "", "x"]
)
def test_what_is_no_version(text: str) -> None:
    assert parse(text) is None


def test_build_metadata_counts_for_nothing() -> None:
    assert parse("1.2.3+build.5") == parse("1.2.3")
    assert parse("1.2.3-rc.1+build.5") == parse("1.2.3-rc.1")


def test_long_texts_are_no_versions() -> None:
    assert parse("1.0.0-" + "a" * LONGEST) is None
    assert parse("1.0.0-" + "9" * (LONGEST - 6)) is not None


@given(st.text(alphabet="0123456789.-+azAZ", max_size=40), st.text(alphabet="0123456789.-+azAZ", max_size=40))
def test_any_two_versions_compare(one: str, other: str) -> None:
    first, second = parse(one), parse(other)
    if first is not None and second is not None:
        assert (first < second) + (first == second) + (first > second) == 1
