"""The image, built once; a pod with the gateway and an app in it; and what was measured, told at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.pod import Pod
from tests.image.podman import podman

BUILD, BASE = "localhost/gateway-test-build", "localhost/gateway-test-base"
IMAGE = "localhost/gateway-test"
ROOT = Path(__file__).parents[2]

MEASURED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MEASURED] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[MEASURED]:
        terminalreporter.write_line(f"measured: {line}")


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> list[str]:
    """Lines to show at the end, whatever becomes of the tests."""
    return request.config.stash[MEASURED]


@pytest.fixture(scope="session")
def image() -> str:
    """The image, on a base that has no shell."""
    if shutil.which("podman") is None or podman("image", "exists", BASE, check=False).returncode:
        pytest.skip("tests/image/engine.sh has not been run")
    arguments = (f"--build-arg=BASE={BASE}", f"--build-arg=BUILD={BUILD}")
    podman("build", "--network=host", *arguments, f"--tag={IMAGE}", str(ROOT), within=600)
    return IMAGE


@pytest.fixture(scope="module")
def pod(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """One without a gateway and an app as yet."""
    made = Pod("gateway-test", image, tmp_path_factory.mktemp("pod"))
    yield made
    made.remove()
