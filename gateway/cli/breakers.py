"""`gateway breakers`: a running gateway's circuit breakers; `open`, `close` and `reset` move one by hand."""

from __future__ import annotations

import argparse
from typing import Any

from gateway.cli.admin_client import AdminClient, Refused, options, print_json, report, segment
from gateway.cli.table import print_table

_VERBS = {
    "open": "hold a breaker open until it is closed or reset",
    "close": "close a breaker; it guards as ever from there on",
    "reset": "begin anew: closed, nothing counted",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Register the arguments."""
    options(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="open|close|reset")
    for verb, purpose in _VERBS.items():
        moving = verbs.add_parser(verb, help=purpose, description=purpose.capitalize() + ".")
        options(moving, again=True)
        moving.add_argument("name", metavar="NAME", help="the upstream's name")


def main(args: argparse.Namespace) -> int:
    """List them, or move one: 1 when there is none of that name, 3 when the gateway cannot be reached."""
    client = AdminClient.of(args)
    try:
        if args.verb is None:
            answer = client.get("/breakers", "breakers")
            breakers = answer["breakers"]
        else:
            answer = client.post(f"/breakers/{segment(args.name)}/{args.verb}", "state")
            breakers = [answer]
    except Refused as error:
        return report(error)
    if args.json:
        print_json(answer)
    else:
        print_table(
            ("UPSTREAM", "STATE", "FAILURES", "PROBES", "RETRY"), map(_row, breakers), empty="There are no breakers."
        )
    return 0


def _row(breaker: dict[str, Any]) -> list[object]:
    settings = breaker["settings"]
    state = breaker["state"].replace("_", "-") + (" (held)" if breaker["held"] else "")
    return [
        breaker["name"],
        state,
        f"{breaker['failures']} of {settings['failures']}",
        f"{breaker['successes']} of {settings['successes']}",
        f"in {breaker['retry_after']}s" if breaker["state"] == "open" and not breaker["held"] else "",
    ]
