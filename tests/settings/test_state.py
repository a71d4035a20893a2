from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.settings.state import State


def test_its_defaults() -> None:
    state = State()
    assert (state.redis, state.timeout, state.name) == (None, 0.05, "gateway")
    assert (state.breaker.failures, state.breaker.reset) == (10, 60)
    assert state.tls.verify


def test_an_empty_url_is_none() -> None:
    assert State.model_validate({"redis": ""}).redis is None


def test_the_url_is_a_secret() -> None:
    state = State.model_validate({"redis": "rediss://u:s3cret@redis.example/1", "timeout": "20ms"})
    assert state.redis is not None
    assert state.redis.get_secret_value() == "rediss://u:s3cret@redis.example/1"
    assert "s3cret" not in repr(state)
    assert "s3cret" not in str(state.model_dump())
    assert "redis.example" not in state.model_dump_json()


@pytest.mark.parametrize(
    "written",
    [
        {"redis": "redis://:s3cret@a:port"},
        {"timeout": "0ms"},
        {"timeout": "1m"},
        {"name": "a b"},
        {"name": "a{b}"},
        {"name": ""},
        {"breaker": {"failures": "0"}},
        {"breaker": {"reset": "0s"}},
        {"tls": {"key": "/key.pem"}},
        {"pool": {}},
    ],
)
def test_mistakes(written: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as raised:
        State.model_validate(written)
    assert "s3cret" not in str(raised.value)
