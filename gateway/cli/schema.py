"""`gateway schema`: the JSON Schema of the config, for editors."""

from __future__ import annotations

import argparse
import json

from gateway import settings


def add(parser: argparse.ArgumentParser) -> None:
    """Register the arguments: there are none."""


def main(args: argparse.Namespace) -> int:  # noqa: ARG001  (every command has the same shape)
    """Print it."""
    print(json.dumps(settings.json_schema(), indent=2))
    return 0
