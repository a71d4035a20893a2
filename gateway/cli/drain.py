"""`gateway drain`: have a running gateway drain, and wait until it has; what a container's preStop hook runs."""

from __future__ import annotations

import argparse
import sys
import time

from gateway.cli.admin_client import AdminClient, Refused, options, print_json, report
from gateway.settings.values import format_duration, parse_duration

#: Seconds between two looks.
_PAUSE = 0.2
_FAILED = 1


def add(parser: argparse.ArgumentParser) -> None:
    """Register the arguments."""
    options(parser)
    parser.add_argument(
        "--timeout",
        type=_duration,
        default=60.0,
        metavar="TIME",
        help="wait so long at most, as in 30s (60s); its own `drain` section says how long it may take",
    )


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def main(args: argparse.Namespace) -> int:
    """Begin, and wait until its listener has closed: 1 when that takes too long, 3 when there is none at all."""
    client = AdminClient.of(args)
    begun = time.monotonic()
    try:
        instance = client.post("/drain", "instance")["instance"]
        while not _gone(client, instance):
            if time.monotonic() - begun >= args.timeout:
                print(f"gateway: it has not ended in {format_duration(args.timeout)}", file=sys.stderr)
                return _FAILED
            time.sleep(_PAUSE)
    except Refused as error:
        return report(error)
    took = time.monotonic() - begun
    if args.json:
        print_json({"drained": True, "seconds": round(took, 3)})
    else:
        print(f"drained in {took:.1f}s")
    return 0


def _gone(client: AdminClient, instance: str) -> bool:
    """Whether nobody listens there any more, or another process already."""
    try:
        found: str = client.get("/drain", "instance")["instance"]
    except OSError as error:
        # Nothing else is certain: what is busy ending may answer late, or half.
        return isinstance(error.__cause__, ConnectionRefusedError)
    except Refused:
        return False
    return found != instance
