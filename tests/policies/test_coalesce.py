"""`coalesce:` as it is written, and what holds on a route."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.policies import cache, coalesce
from gateway.settings.listener import Listener
from gateway.settings.values import Address


def on(listener: dict[str, Any], route: dict[str, Any]) -> bool:
    made = Listener.model_validate(
        {"bind": Address("::1", 0), "routes": [{"path": "/", "upstream": "app", **route}], **listener}
    )
    own = made.routes[0]
    return coalesce.resolve(made, own, cache.resolve(made, own))


@pytest.mark.parametrize(
    ("listener", "route", "shares"),
    [
        ({}, {}, False),
        ({}, {"cache": {}}, True),
        ({"cache": {}}, {}, True),
        ({"cache": {}}, {"cache": "false"}, False),
        ({}, {"coalesce": "true"}, True),
        ({}, {"cache": {}, "coalesce": "false"}, False),
        ({"coalesce": "true"}, {}, True),
        ({"coalesce": "true"}, {"coalesce": "false"}, False),
        ({"coalesce": "true"}, {"cache": "false"}, True),
        ({"coalesce": "false"}, {"cache": {}}, False),
        ({"coalesce": "false"}, {"coalesce": "true"}, True),
    ],
)
def test_where_requests_share_a_fetch(listener: dict[str, Any], route: dict[str, Any], shares: bool) -> None:
    assert on(listener, route) is shares


@pytest.mark.parametrize("written", ["", "on", "1", {}, {"limit": "5"}])
def test_it_is_true_or_false(written: Any) -> None:
    with pytest.raises(ValidationError):
        on({}, {"coalesce": written})
