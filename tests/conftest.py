"""Rules for the whole suite: where GATEWAY_NO_SKIPS is set a skip is a failure; a look for leaked tasks."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from tests.support.late_port import LatePort

# The same examples on every run, and no clock on a machine that others share.
settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


#: Folders whose files take longest. They come first, so that no worker is left with one when the others are done.
LONGEST = (
    "faults", "cache", "cli", "wire", "clients", "deploy", "admin", "upstreams", "state", "telemetry", "listeners",
)  # fmt: skip


#: What needs a container engine and root: collected where it is asked for by name, as `make test-image` does.
IMAGE = Path(__file__).parent / "image"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the image alone unless it was named."""
    named = any(
        (config.invocation_params.dir / argument.partition("::")[0]).is_relative_to(IMAGE) for argument in config.args
    )
    return True if collection_path == IMAGE and not named else None


#: Files that load the machine come with so many others between two of them, so that few workers wait for their turn.
BETWEEN = 5


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; within these groups the order stays, but for those that load the machine."""
    order = {folder: number for number, folder in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.parent.name, len(order)))
    loading = list(dict.fromkeys(item.path for item in items if item.get_closest_marker("loads_the_machine")))
    spread: list[Path] = []
    for number, path in enumerate(dict.fromkeys(item.path for item in items if item.path not in loading)):
        if number % BETWEEN == 0 and loading:
            spread.append(loading.pop(0))
        spread.append(path)
    place = {path: number for number, path in enumerate([*spread, *loading])}
    items.sort(key=lambda item: place[item.path])


@pytest.fixture(autouse=True, scope="module")
def one_load_at_a_time(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What loads the machine runs beside other tests, but not beside its like, in whichever workers."""
    if request.node.get_closest_marker("loads_the_machine") is None:
        yield
        return
    with (tmp_path_factory.getbasetemp().parent / "load.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pytest_collection_finish() -> None:
    """Have the garbage collector leave alone what stays: thousands of tests, and all that they import."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where the machine is supposed to have every tool."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("GATEWAY_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report


@pytest_asyncio.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Fail a coroutine test that leaves a task of its loop running."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"left running: {left}"


@pytest.fixture
def port() -> Iterator[LatePort]:
    """Where an app will be once the test opens it."""
    port = LatePort()
    yield port
    port.close()
