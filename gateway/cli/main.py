"""The `gateway` command: picks the subcommand, and turns what went wrong into an exit code.

Exit codes: 0 fine, 1 the config is wrong, 2 usage (argparse's own), 3 a port or a file cannot be had.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Container, Sequence
from importlib import import_module

from gateway.settings import ConfigError
from gateway.telemetry.version import version

FINE, WRONG_CONFIG, USAGE, UNAVAILABLE = 0, 1, 2, 3

# One module each in this package, with `add(parser)` and `main(args) -> int`; only the one asked for is imported.
COMMANDS = {
    "run": "run the gateway",
    "check": "check config files",
    "schema": "print the JSON Schema of the config, for editors",
    "status": "see how a running gateway does, its connections, slow requests and the latency of its routes",
    "limits": "see and change a running gateway's rate limits, in-flight caps and blocked keys",
    "breakers": "see a running gateway's circuit breakers, and open or close them",
    "cache": "see what a running gateway's cache holds and finds, purge it, warm it",
    "flags": "see and change a running gateway's feature flags, and why they say what to whom",
    "log": "see a running gateway's log level, and set it for a while",
    "drain": "have a running gateway drain, and wait until it has",
    "completion": "print what has a shell complete commands, options and files",
    "demo": "run the gateway in front of an example app and a stand-in AI provider",
}


def parser(asked: Container[str]) -> argparse.ArgumentParser:
    """What reads a command line. It knows every command's name, but the arguments of those `asked` for only."""
    parser = argparse.ArgumentParser(prog="gateway", description="A sidecar reverse proxy.")
    parser.add_argument("--version", action="version", version=f"gateway {version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
        if name in asked:
            module = import_module(f"gateway.cli.{name}")
            module.add(command)
            command.set_defaults(main=module.main)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, the process's own by default, and return its exit code.

    Raises SystemExit where argparse does: 2 for wrong usage, 0 for --help.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    gc.disable()  # what is imported stays, and looking through it again and again takes a tenth of a start
    try:
        args = parser([word for word in words if word in COMMANDS][:1]).parse_args(words)
    finally:
        gc.enable()
    try:
        code: int = args.main(args)
        sys.stdout.flush()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return WRONG_CONFIG
    except BrokenPipeError:
        # Whoever read our output has left; nothing is wrong, and the interpreter's own flush must not fail either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except OSError as error:
        named = error.filename is not None and error.strerror is not None
        print(f"gateway: {error.filename}: {error.strerror}" if named else f"gateway: {error}", file=sys.stderr)
        return UNAVAILABLE
    return code
