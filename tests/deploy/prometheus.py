"""A real Prometheus, Debian's: started with a config, asked over its HTTP API, ended with all that it stored."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import yaml

from tests.support.redis import free_port

START = 60.0  # seconds until it has scraped, on a machine that others use
PATIENCE = 15.0  # seconds for one answer


def tool(name: str) -> str:
    """The path of `prometheus` or `promtool`; without it the test is skipped."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian: prometheus)")
    return path


class Prometheus:
    """One server in `directory`. Use as a context manager; it is there when it first `sees` something."""

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        self._binary = tool("prometheus")
        self._directory = directory
        self._log = directory / "prometheus.log"
        self._config = directory / "prometheus.yml"
        self._config.write_text(yaml.safe_dump(config))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prometheus:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    self._binary,
                    f"--config.file={self._config}",
                    f"--storage.tsdb.path={self._directory / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                stdout=output,
                stderr=output,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def ask(self, path: str, **parameters: str | float) -> Any:
        """The `data` of an answer of its API; it must be a good one."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def instant(self, query: str) -> list[dict[str, Any]]:
        """What an expression is now: a list of series, each with its `metric` and `value`."""
        result: list[dict[str, Any]] = self.ask("query", query=query)["result"]
        return result

    def during(self, query: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """What it was from `start` to `end`, in seconds since the epoch: series with `metric` and `values`."""
        result: list[dict[str, Any]] = self.ask("query_range", query=query, start=start, end=end, step=step)["result"]
        return result

    def sees(self, query: str) -> None:
        """Wait until it is there and an expression has a result. It begins to scrape 5 s after its start."""
        until = time.monotonic() + START
        while not (self._ready() and self.instant(query)):
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, f"it saw nothing of {query} in {START} s:\n{self._log.read_text()}"
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=PATIENCE) as response:
                return bool(response.status == 200)
        except OSError:
            return False
