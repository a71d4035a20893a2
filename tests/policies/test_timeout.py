"""Timeouts: which of upstream, listener and route decides each key, and how they are written."""

from __future__ import annotations

from dataclasses import astuple, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.policies.timeout import INHERIT, Timeout, TimeoutOverride, Timeouts, resolve

KEYS = ["connect", "headers", "idle", "total", "tunnel"]
SECONDS = st.one_of(st.none(), st.floats(0.001, 1000))
COMPLETE = st.fixed_dictionaries(dict.fromkeys(KEYS, SECONDS))
SOME = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, SECONDS))


def test_defaults() -> None:
    assert Timeout() == Timeout(connect=1, headers=30, idle=30, total=None, tunnel=3600)
    assert all(getattr(TimeoutOverride(), key) is INHERIT for key in KEYS)


def test_both_have_the_same_keys() -> None:
    assert [*Timeout.model_fields] == [*TimeoutOverride.model_fields] == KEYS
    assert [field.name for field in fields(Timeouts)] == [*KEYS, "total_on_route"]


@given(COMPLETE, SOME, SOME)
def test_the_route_wins_over_the_listener_and_that_over_the_upstream(
    upstream: dict[str, Any], listener: dict[str, Any], route: dict[str, Any]
) -> None:
    resolved = resolve(Timeout(**upstream), TimeoutOverride(**listener), TimeoutOverride(**route))
    expected = {**upstream, **listener, **route}
    assert astuple(resolved) == (*(expected[key] for key in KEYS), "total" in route)


def test_none_on_a_route_is_none_though_the_others_have_one() -> None:
    resolved = resolve(Timeout(total=60), TimeoutOverride(total=30), TimeoutOverride(total=None))
    assert resolved.total is None
    assert resolved.total_on_route


def test_a_listeners_total_is_not_the_routes() -> None:
    resolved = resolve(Timeout(), TimeoutOverride(total=30), TimeoutOverride())
    assert (resolved.total, resolved.total_on_route) == (30, False)


@pytest.mark.parametrize("model", [Timeout, TimeoutOverride])
@pytest.mark.parametrize("key", KEYS)
def test_zero_is_refused_and_false_is_none(model: type[Timeout] | type[TimeoutOverride], key: str) -> None:
    assert getattr(model.model_validate({key: "false"}), key) is None
    with pytest.raises(ValidationError, match="out of range: at least 1ms"):
        model.model_validate({key: "0"})
