"""Requests made up from /openapi.json, right and wrong ones: every answer is as described, and none is a 500."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.admin.conftest import Running


async def test_nothing_is_found(guarded: Running, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run"),
        f"http://127.0.0.1:{guarded.address[1]}/openapi.json",
        *("--max-examples", "2", "--seed", "1", "--generation-database", "none", "--phases", "coverage,fuzzing"),
        *("--header", f"Authorization: Bearer {guarded.token}"),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "NO_COLOR": "1"}
    )
    try:
        async with asyncio.timeout(180):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()[-6000:]
    assert guarded.insides.events.bad_tokens, "it tries without the token too"
