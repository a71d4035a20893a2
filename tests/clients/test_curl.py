"""curl through ingress: what it does by itself and raw tests may not think of."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Sidecar

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

speaks_http_2 = pytest.mark.skipif(
    shutil.which("curl") is not None and b"HTTP2" not in subprocess.check_output(["curl", "-V"]),
    reason="this curl is built without HTTP/2",
)

UPLOAD = 3_000_000  # bytes, past the million from which curl asks with Expect by itself


class Said:
    """What curl wrote: the body, and with -v the heads that it sent and got."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.out = out
        lines = err.decode().splitlines()
        self.sent = [line[2:] for line in lines if line.startswith("> ")]
        self.got = [line[2:] for line in lines if line.startswith("< ")]

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def arrived(self, name: str) -> list[str]:
        """The values of a field in the request that the app got; `out` is its echo."""
        return [value for key, value in self.json["headers"] if key.lower() == name.lower()]


async def curl(*arguments: str) -> Said:
    process = await asyncio.create_subprocess_exec(
        *("curl", "-q", "-sS", "-v", "--noproxy", "*", "--max-time", "20", *arguments),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, out, err)


async def test_http_1_0(sidecar: Sidecar) -> None:
    said = await curl("--http1.0", f"{sidecar.ingress}/api/echo")
    assert (said.code, said.json["path"]) == (0, "/api/echo")
    assert "Transfer-Encoding: chunked" not in said.got


async def test_a_stream_for_http_1_0_ends_with_the_connection(sidecar: Sidecar) -> None:
    said = await curl("--http1.0", f"{sidecar.ingress}/api/events?count=3&interval=0.01")
    assert said.code == 0
    assert said.out.count(b"data: ") == 3
    assert "Connection: close" in said.got


async def test_head_has_a_length_and_no_body(sidecar: Sidecar) -> None:
    said = await curl("--head", f"{sidecar.ingress}/")
    assert said.code == 0
    assert said.got[0].startswith("HTTP/1.1 200")
    page = await curl(f"{sidecar.ingress}/")
    assert f"Content-Length: {len(page.out)}" in said.got


@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
async def test_an_upload_waits_for_100_continue(sidecar: Sidecar, tmp_path: Path, framing: str) -> None:
    """Longer than the test may take, if it did not come."""
    file = tmp_path / "upload"
    file.write_bytes(b"x" * UPLOAD)
    chunks = ["-H", "Transfer-Encoding: chunked"] if framing == "chunked" else []
    wait = ["-H", "Expect: 100-continue", "--expect100-timeout", "30"]
    said = await curl(*wait, *chunks, "-T", str(file), f"{sidecar.ingress}/api/echo")
    assert said.code == 0
    assert (said.json["method"], said.json["body_bytes"]) == ("PUT", UPLOAD)
    assert "Expect: 100-continue" in said.sent
    assert said.got[0] == "HTTP/1.1 100 Continue"
    assert [line for line in said.got if line.startswith("HTTP/")][1:] == ["HTTP/1.1 200 OK"]


@speaks_http_2
async def test_an_h2c_upgrade_is_left_aside(sidecar: Sidecar) -> None:
    said = await curl("--http2", f"{sidecar.ingress}/api/echo")
    assert "Upgrade: h2c" in said.sent
    assert said.code == 0
    assert said.got[0] == "HTTP/1.1 200 OK"
    assert [said.arrived(name) for name in ("Upgrade", "HTTP2-Settings", "Connection")] == [[], [], []]


@speaks_http_2
async def test_http_2_unasked_is_refused(sidecar: Sidecar) -> None:
    said = await curl("--http2-prior-knowledge", f"{sidecar.ingress}/api/echo")
    assert said.code != 0
    assert not said.out
    assert (await curl(f"{sidecar.ingress}/api/echo")).code == 0


async def test_one_connection_for_many(sidecar: Sidecar) -> None:
    statuses = [404, 500, 503]
    targets = [
        part for status in statuses for part in (f"{sidecar.ingress}/api/fail?status={status}", "-o", "/dev/null")
    ]
    said = await curl("-w", "%{http_code} %{num_connects} ", *targets)
    assert (said.code, said.out) == (0, b"404 1 500 0 503 0 ")
