"""The image's locked requirements: what pyproject.toml asks for, and all of it. `make lock` writes them."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HASH = re.compile(r"sha256:[0-9a-f]{64}")


class Locked(NamedTuple):
    """One version of a package."""

    version: Version
    hashes: list[str]


def locked(name: str) -> dict[str, Locked]:
    """What a file locks, by package; a line that locks nothing fails."""
    text = (ROOT / "deploy" / name).read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            said, *hashes = line.split("--hash=")
            requirement = Requirement(said)
            (only,) = requirement.specifier
            assert only.operator == "==", line
            found[canonicalize_name(requirement.name)] = Locked(
                Version(only.version), [one.strip() for one in hashes]
            )
    return found


RUN, BUILD = locked("requirements.txt"), locked("requirements-build.txt")


def assert_fits(requirement: Requirement, among: dict[str, Locked]) -> None:
    name = canonicalize_name(requirement.name)
    assert name in among, f"{name} is not locked: make lock"
    assert requirement.specifier.contains(among[name].version), f"{requirement} got {among[name].version}: make lock"


@pytest.mark.parametrize("wanted", PROJECT["project"]["dependencies"])
def test_each_dependency_is_locked_in_a_version_that_fits(wanted: str) -> None:
    assert_fits(Requirement(wanted), RUN)


@pytest.mark.parametrize("wanted", PROJECT["build-system"]["requires"])
def test_so_is_what_builds_the_package(wanted: str) -> None:
    assert_fits(Requirement(wanted), BUILD)


@pytest.mark.parametrize("name", RUN)
def test_what_a_locked_package_needs_is_locked_too(name: str) -> None:
    """As far as the same version is installed here, which says what it needs."""
    asked = {
        extra
        for wanted in map(Requirement, PROJECT["project"]["dependencies"])
        if canonicalize_name(wanted.name) == name
        for extra in wanted.extras
    }
    try:
        found = distribution(name)
    except PackageNotFoundError:  # for other versions of Python
        return
    if Version(found.version) != RUN[name].version:
        return
    for needed in map(Requirement, found.requires or []):
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *asked)):
            assert_fits(needed, RUN)


@pytest.mark.parametrize("among", [RUN, BUILD])
def test_each_has_hashes(among: dict[str, Locked]) -> None:
    for name, (_, hashes) in among.items():
        assert hashes, name
        assert all(HASH.fullmatch(one) for one in hashes), name
