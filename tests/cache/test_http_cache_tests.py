"""The npm package http-cache-tests through ingress: what fails is what README.md says, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.config import config
from tests.support.gateway import Gateway
from tests.support.npm import package

NODE = shutil.which("node")
HERE = Path(__file__).parent
RUNNER = HERE / "http_cache_tests.mjs"
NAME, VERSION = "http-cache-tests", "0.4.5"
ALL = {"required": 157, "optimal": 86, "check": 86}
BAR = {"required": 140, "optimal": 70}
LONGEST = 60.0  # seconds; the tests pause for three, all of them at once
ROW = re.compile(r"\| `([^`]+)` \| (\w+) \| (\w+) \| \S")
Verdicts = dict[str, dict[str, Any]]

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")


@asynccontextmanager
async def server(folder: Path, pidfile: Path) -> AsyncIterator[tuple[str, int]]:
    """The package's origin server, on a port of the kernel's."""
    given = {"npm_config_protocol": "http", "npm_config_port": "0", "npm_config_pidfile": str(pidfile)}
    process = await asyncio.create_subprocess_exec(
        str(NODE), "server/server.mjs", cwd=folder, env={**os.environ, **given}, stdin=DEVNULL, stdout=PIPE
    )
    assert process.stdout is not None
    drain: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(LONGEST):
            line = (await process.stdout.readline()).decode()
        port = re.search(r":(\d+)/\s*$", line)
        assert port is not None, line
        drain = asyncio.create_task(process.stdout.read())
        yield "127.0.0.1", int(port[1])
    finally:
        await _end(process)
        if drain is not None:
            await drain


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


async def verdicts(folder: Path, url: str) -> Verdicts:
    """What the package's client says of a cache."""
    process = await asyncio.create_subprocess_exec(
        *(str(NODE), "--no-warnings", str(RUNNER), str(folder), url), stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(LONGEST):
            out, err = await process.communicate()
    finally:
        await _end(process)
    assert process.returncode == 0, err.decode()
    found: Verdicts = json.loads(out)
    return found


def explained() -> dict[str, tuple[str, str]]:
    """The tests that README.md says do not pass: kind and outcome by id."""
    rows = [ROW.match(line) for line in (HERE / "README.md").read_text().splitlines() if line.startswith("| `")]
    assert all(rows), "a row that is not: id, kind, outcome, why"
    found = {row[1]: (row[2], row[3]) for row in rows if row is not None}
    assert len(found) == len(rows), "an id stands there twice"
    return found


async def test_what_fails_is_what_is_explained(tmp_path: Path) -> None:
    folder = await asyncio.to_thread(package, NAME, VERSION)
    async with server(folder, tmp_path / "pid") as origin:
        routes = [{"path": "/**", "upstream": "app", "cache": {}}]
        gateway = Gateway(tmp_path, config(origin, ingress={"routes": routes}, log={"access": False}))
        await asyncio.to_thread(gateway.start)
        try:
            found = await verdicts(folder, "http://{}:{}".format(*gateway.ingress))
        finally:
            await asyncio.to_thread(gateway.stop)
    kinds = [said["kind"] for said in found.values()]
    assert {kind: kinds.count(kind) for kind in ALL} == ALL
    missed = {one: said for one, said in found.items() if said["outcome"] != "pass" and said["kind"] in BAR}
    for kind, least in BAR.items():
        passed = ALL[kind] - sum(said["kind"] == kind for said in missed.values())
        assert passed >= least, f"{passed} {kind} pass, not {least}: {missed}"
    known = explained()
    news = {one: said for one, said in missed.items() if known.get(one) != (said["kind"], said["outcome"])}
    assert not news, f"they do not pass, and README.md does not say so: {news}"
    assert not known.keys() - missed.keys(), "README.md says that they do not pass, and they do"
