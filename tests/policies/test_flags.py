"""`flags:` as it is written, and which flags a route's requests bear."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.policies import flags
from gateway.settings.listener import Listener
from gateway.settings.values import Address


def on(listener: dict[str, Any], route: dict[str, Any]) -> tuple[str, ...]:
    made = Listener.model_validate(
        {"bind": Address("::1", 0), "routes": [{"path": "/", "upstream": "app", **route}], **listener}
    )
    return flags.resolve(made, made.routes[0])


@pytest.mark.parametrize(
    ("listener", "route", "names"),
    [
        ({}, {}, ()),
        ({"flags": "A"}, {}, ("A",)),
        ({}, {"flags": ["A", "B"]}, ("A", "B")),
        ({"flags": ["A", "B"]}, {"flags": ["C", "A"]}, ("A", "B", "C")),
        ({"flags": ["A"]}, {"flags": "false"}, ()),
        ({"flags": "false"}, {"flags": "A"}, ("A",)),
        ({}, {"flags": ["A", "A"]}, ("A",)),
    ],
)
def test_a_routes_flags_come_on_top_of_its_listeners(
    listener: dict[str, Any], route: dict[str, Any], names: tuple[str, ...]
) -> None:
    assert on(listener, route) == names


@pytest.mark.parametrize("written", ["", "two words", "a/b", "-a", "é", "a" * 101, {}, [["A"]], {"flag": "A"}])
def test_a_flag_is_named(written: Any) -> None:
    with pytest.raises(ValidationError):
        on({}, {"flags": written})
