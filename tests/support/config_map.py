"""A mounted ConfigMap, and how the kubelet changes it (its AtomicWriter): by renaming a symlink to a directory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml


class ConfigMap:
    """`gateway.yaml` in a directory: a symlink to ..data/gateway.yaml, and ..data is one to where the files are."""

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        self._directory = directory
        self._writes = 0
        self._data = directory / "..data"
        directory.mkdir()
        self.path = directory / "gateway.yaml"
        self.swap(config)
        self.path.symlink_to("..data/gateway.yaml")

    def swap(self, config: dict[str, Any]) -> None:
        """Put another config in its place, step by step as the kubelet does."""
        old = self._data.resolve() if self._data.is_symlink() else None
        self._writes += 1
        fresh = self._directory / f"..2026_11_30_12_00_{self._writes:02}.{self._writes:010}"
        fresh.mkdir(mode=0o755)
        (fresh / "gateway.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        link = self._directory / "..data_tmp"
        link.symlink_to(fresh.name)
        link.rename(self._data)
        if old is not None:
            shutil.rmtree(old)
