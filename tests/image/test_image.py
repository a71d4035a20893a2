"""What the image is made of: small, without tools, for anybody's hands and nobody's rights."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.conftest import BASE, ROOT
from tests.image.pod import RESTRICTED
from tests.image.podman import image as known
from tests.image.podman import podman

OVER_ITS_BASE = 120_000_000  # bytes
TOOLS = {"sh", "bash", "dash", "gcc", "cc", "g++", "ld", "pip", "pip3"}


def run(image: str, *arguments: str, code: int = 0) -> str:
    """What a container says that has no network and can write nothing."""
    done = podman("run", "--rm", "--network=none", *RESTRICTED, *arguments, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    return said


@pytest.fixture(scope="module")
def root(image: str) -> Iterator[Path]:
    """The image's files, to be looked at without it."""
    yield Path(podman("image", "mount", image).stdout.strip())
    podman("image", "unmount", image)


def test_size_over_its_base(image: str, measured: list[str]) -> None:
    over = known(image)["Size"] - known(BASE)["Size"]
    measured.append(f"{over / 1e6:.0f} MB over its base")
    assert 0 < over < OVER_ITS_BASE


def test_says_how_it_is_run(image: str) -> None:
    said = known(image)["Config"]
    assert said["User"] == "65532:65532"
    assert said["Entrypoint"] == ["gateway"]
    assert said["Cmd"] == ["run", "--config", "/etc/gateway/gateway.yaml"]
    assert set(said["ExposedPorts"]) == {"8080/tcp", "8081/tcp", "9090/tcp"}
    assert said["StopSignal"] == "SIGTERM"


def test_its_version_is_the_projects(image: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert known(image)["Config"]["Labels"]["org.opencontainers.image.version"] == version
    assert run(image, image, "--version").strip() == f"gateway {version}"


def test_has_no_shell_no_compiler_and_no_installer(root: Path) -> None:
    folders = ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "opt/gateway/bin")
    found = {name for folder in folders if (root / folder).exists() for name in os.listdir(root / folder)}
    assert "gateway" in found
    assert not found & TOOLS


def test_nothing_has_to_be_compiled_when_it_starts(root: Path, image: str) -> None:
    """Wherever it comes from: slim images have the standard library's sources alone."""
    source = (
        "import sys, gateway.cli.run; print(*(getattr(m, '__cached__', None) or '' for m in sys.modules.values()))"
    )
    imported = run(image, "--entrypoint=python", image, "-c", source).split()
    assert len(imported) > 500
    assert [path for path in imported if not (root / path.lstrip("/")).exists()] == []


def test_carries_neither_what_it_was_built_with_nor_tests(root: Path) -> None:
    assert not (root / "opt/build").exists()
    assert not (root / "root/.cache").exists()
    assert [path for path in (root / "opt/gateway").rglob("tests") if path.is_dir()] == []


def test_is_not_its_users_to_change(root: Path) -> None:
    for path in (root / "opt/gateway").rglob("*"):
        entry = path.lstat()
        assert entry.st_uid == 0, path
        assert path.is_symlink() or not entry.st_mode & 0o022, path


def test_says_what_is_missing(image: str) -> None:
    assert "/etc/gateway/gateway.yaml" in run(image, image, code=3)


def test_is_the_whole_command_line(image: str) -> None:
    assert '"$schema"' in run(image, image, "schema")
