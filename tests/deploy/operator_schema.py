"""The Prometheus operator's own schema of its resources, which a package of npm has."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import npm
from tests.support.kubernetes import Manifest

_CHECK = """
for (const one of JSON.parse(require("fs").readFileSync(0, "utf8"))) {
    const models = require(`${process.argv[1]}/monitoring.coreos.com/v1/${one.kind}.js`);
    new models[one.kind](one).validate();
}
"""


def check(*resources: Manifest) -> subprocess.CompletedProcess[str]:
    """Exit code 0 where all of them are right; else stderr says what is wrong."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    models: Path = npm.package("@kubernetes-models/prometheus-operator", "6.0.0")
    command = [node, "--eval", _CHECK, str(models)]
    return subprocess.run(
        command, input=json.dumps(resources), capture_output=True, text=True, timeout=60, check=False
    )
