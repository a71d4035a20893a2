"""The program's version, as it was installed."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """`unknown` where it runs from a source tree that is not installed."""
    try:
        return metadata.version("gateway")
    except metadata.PackageNotFoundError:
        return "unknown"
