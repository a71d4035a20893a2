"""The PodMonitors are right by the operator's own schema, which a package of npm has."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.renderings import rendered
from tests.support import npm
from tests.support.kubernetes import Manifest, of_kind

_CHECK = """
const { PodMonitor } = require(process.argv[1] + "/monitoring.coreos.com/v1/PodMonitor.js");
for (const one of JSON.parse(require("fs").readFileSync(0, "utf8"))) new PodMonitor(one).validate();
"""


def check(*monitors: Manifest) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    models: Path = npm.package("@kubernetes-models/prometheus-operator", "6.0.0")
    command = [node, "--eval", _CHECK, str(models)]
    return subprocess.run(
        command, input=json.dumps(monitors), capture_output=True, text=True, timeout=60, check=False
    )


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
