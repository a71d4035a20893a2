"""The package's names, which are looked up when first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway import settings


def test_every_name_is_there() -> None:
    assert sorted(settings.__all__) == sorted(settings._HOME)
    assert all(getattr(settings, name) is not None for name in settings.__all__)


def test_no_other_name_is() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = settings.lod


@pytest.mark.parametrize(
    "module", ["gateway.policies.timeout", "gateway.settings.upstream", "gateway.settings.types"]
)
def test_any_module_may_be_imported_first(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True, timeout=60)
