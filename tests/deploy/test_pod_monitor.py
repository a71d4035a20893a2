"""The PodMonitors are right by the operator's own schema, which a package of npm has."""

from __future__ import annotations

import pytest

from tests.deploy.operator_schema import check
from tests.deploy.renderings import rendered
from tests.support.kubernetes import Manifest, of_kind


def test_the_schema_has_nothing_to_say() -> None:
    found = [
        one
        for name in ("base, monitored", "chart, everything")
        for one in of_kind("PodMonitor", list(rendered(name)))
    ]
    assert len(found) == 2
    done = check(*found)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("wrong", [{"interval": "often"}, {"port": 9090}], ids=str)
def test_the_schema_would_have_something_to_say(wrong: Manifest) -> None:
    (monitor,) = of_kind("PodMonitor", list(rendered("base, monitored")))
    spec = {**monitor["spec"], "podMetricsEndpoints": [{"port": "metrics", **wrong}]}
    assert check({**monitor, "spec": spec}).returncode != 0
