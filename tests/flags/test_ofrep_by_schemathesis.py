"""Requests made up from OFREP's description: every answer is as described, and none is a 500."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.flags.ofrep_listener import serving

DESCRIPTION = Path(__file__).with_name("ofrep.yaml")
TOKEN = "correct-horse-battery-staple"
DEFINE: dict[str, Any] = {
    "HALF": {"rollout": "50%"},
    "ON": True,
    "OFF": False,
    "COLOUR": {
        "rollout": "50%",
        "variants": [
            {"name": "blue", "weight": 1},
            {"name": "red", "weight": 1, "payload": {"hex": "#f00"}},
            {"name": "wide", "weight": 1, "payload": 2.5},
        ],
    },
}


async def test_nothing_is_found(tmp_path: Path, no_leaked_tasks: None) -> None:
    async with serving(DEFINE, token=TOKEN) as one:
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(DESCRIPTION), "--url", f"{one.url}/flags"),
            *("--max-examples", "30", "--seed", "1", "--generation-database", "none", "--phases", "coverage,fuzzing"),
            *("--header", f"Authorization: Bearer {TOKEN}"),
        ]
        environment = {**os.environ, "NO_COLOR": "1"}
        process = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
        )
        try:
            async with asyncio.timeout(90):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, output.decode()[-6000:]
        assert {200, 400, 401, 404, 405} <= set(one.told.statuses)
