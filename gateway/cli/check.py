"""`gateway check FILE...`: every mistake and warning of config files, as FILE:LINE:COLUMN: message."""

from __future__ import annotations

import argparse
import os
import sys

from gateway import settings


def add(parser: argparse.ArgumentParser) -> None:
    """Register the arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="a config file")


def main(args: argparse.Namespace) -> int:
    """Check each file: 0 when all are fine, 1 with any mistake, 3 when one cannot be read."""
    return max(_check(file) for file in args.files)


def _check(file: str) -> int:
    try:
        loaded = settings.load(file, os.environ)
    except OSError as error:
        print(f"gateway: {file}: {error.strerror}", file=sys.stderr)
        return 3
    except settings.ConfigError as error:
        for mistake in error.mistakes:
            print(mistake)
        return 1
    for warning in settings.warnings(loaded) + settings.environment_warnings(loaded):
        print(f"{warning.file}:{warning.line}:{warning.column}: warning: {warning.message}")
    print(f"{file}: fine")
    return 0
