"""`require:` as it is written, and what must hold on a route."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.policies import require
from gateway.settings.listener import Listener
from gateway.settings.values import Address


def on(listener: dict[str, Any], route: dict[str, Any]) -> list[str]:
    made = Listener.model_validate(
        {"bind": Address("::1", 0), "routes": [{"path": "/", "upstream": "app", **route}], **listener}
    )
    return [str(wanted) for wanted in require.resolve(made, made.routes[0])]


@pytest.mark.parametrize(
    ("listener", "route", "wanted"),
    [
        ({}, {}, []),
        ({}, {"require": "A"}, ["A is on"]),
        ({}, {"require": {"flag": "A", "variant": "blue"}}, ["A is on as one of [blue]"]),
        ({}, {"require": ["A", {"flag": "B", "on": "false"}]}, ["A is on", "B is off"]),
        ({"require": "A"}, {}, ["A is on"]),
        ({"require": "A"}, {"require": "B"}, ["A is on", "B is on"]),
        ({"require": "A"}, {"require": "false"}, []),
        ({"require": "false"}, {"require": "A"}, ["A is on"]),
    ],
)
def test_a_routes_come_on_top_of_its_listeners(
    listener: dict[str, Any], route: dict[str, Any], wanted: list[str]
) -> None:
    assert on(listener, route) == wanted


@pytest.mark.parametrize("written", ["", {}, {"flg": "A"}, ["false"], [[]], {"flag": "A", "on": "perhaps"}])
def test_a_flag_is_named(written: Any) -> None:
    with pytest.raises(ValidationError):
        on({}, {"require": written})
