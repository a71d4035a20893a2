"""`gateway drain`: have a running gateway drain, and wait until it has; what a container's preStop hook runs.

Ingress has drained then; where there is an egress, the process goes on with it until a signal ends that too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from gateway.cli.admin_client import AdminClient, Refused, options, print_json, report
from gateway.cli.progress import show_waiting
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
    """Begin, and wait until it has drained or is gone: 1 when that takes too long, 3 when there is none at all."""
    client = AdminClient.of(args)
    begun = time.monotonic()
    try:
        standing = client.post("/drain", "drained")
        instance = standing["instance"]
        with show_waiting() as show:
            while standing["instance"] == instance and not standing["drained"]:
                show(_left(standing))
                if time.monotonic() - begun >= args.timeout:
                    late = f"it has not drained in {format_duration(args.timeout)}"
                    print(f"gateway: {late}: {_left(standing)}", file=sys.stderr)
                    return _FAILED
                time.sleep(_PAUSE)
                standing = _look(client, standing)
    except Refused as error:
        return report(error)
    took = time.monotonic() - begun
    if args.json:
        print_json({"drained": True, "seconds": round(took, 3)})
    else:
        print(f"drained in {took:.1f}s")
    return 0


def _look(client: AdminClient, before: Mapping[str, Any]) -> Mapping[str, Any]:
    """How far it is, as it says; drained, where nobody listens any more; as before, where that cannot be told."""
    try:
        found: Mapping[str, Any] = client.get("/drain", "drained")
    except OSError as error:
        # Nothing else is certain: what is busy ending may answer late, or half.
        return {**before, "drained": isinstance(error.__cause__, ConnectionRefusedError)}
    except Refused:
        return before
    return found


def _left(standing: Mapping[str, Any]) -> str:
    count = standing["in_flight"].get("ingress", 0)
    return f"{count} request{'' if count == 1 else 's'} in flight on ingress"
