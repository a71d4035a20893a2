"""Packages of npm that tests read or run: fetched once, by npm itself, into `build/npm`, which git leaves alone.

Of a package's scripts none is run. A test that wants one is skipped by name where npm is missing or has no way to its
registry.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

_KEPT = Path(__file__).parents[2] / "build" / "npm"
_LONGEST = 120.0  # seconds


def package(name: str, version: str) -> Path:
    """The folder of a package, its dependencies installed so that node finds them."""

    def install(npm: str, folder: Path) -> None:
        options = ["--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
        _run([npm, "install", *options, "--prefix", str(folder), f"{name}@{version}"], name, folder)

    return _kept(name, version, install) / "node_modules" / name


def contents(name: str, version: str, prepare: Callable[[Path], None]) -> Path:
    """The folder with what a package holds, without its dependencies. `prepare` makes of it, once, what is kept."""

    def unpack(npm: str, folder: Path) -> None:
        _run([npm, "pack", "--ignore-scripts", "--loglevel=error", f"{name}@{version}"], name, folder)
        (archive,) = folder.glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
        archive.unlink()
        prepare(folder / "package")

    return _kept(name, version, unpack) / "package"


def _kept(name: str, version: str, fetch: Callable[[str, Path], None]) -> Path:
    kept = _KEPT / f"{name.replace('/', '+')}@{version}"
    if kept.exists():
        return kept
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"npm is not installed, so there is no {name}")
    _KEPT.mkdir(parents=True, exist_ok=True)
    # One worker fetches and the others wait. Beside its place, then moved there: what is there is whole.
    with kept.with_name(f"{kept.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            folder = tempfile.mkdtemp(prefix="fetching-", dir=_KEPT)
            try:
                fetch(npm, Path(folder))
                os.rename(folder, kept)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    return kept


def _run(command: list[str], name: str, folder: Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST, check=False, cwd=folder)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm took more than {_LONGEST:.0f} s to fetch {name}")
    if done.returncode != 0:
        pytest.skip(f"npm could not fetch {name}: {done.stderr.strip()[-200:]}")
