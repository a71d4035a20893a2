"""`gateway log`: a running gateway's log level, and setting it, perhaps for a while."""

from __future__ import annotations

import argparse
from typing import Any

from gateway.cli.admin_client import AdminClient, Refused, options, print_json, report
from gateway.cli.figures import seconds

_LEVELS = ("debug", "info", "warning", "error")


def add(parser: argparse.ArgumentParser) -> None:
    """Register the arguments."""
    options(parser)
    parser.add_argument(
        "level",
        nargs="?",
        choices=(*_LEVELS, "reset"),
        metavar="LEVEL",
        help=f"{', '.join(_LEVELS)}; reset: the config's",
    )
    parser.add_argument("--for", dest="span", metavar="TIME", help="for how long, as in 10m")
    parser.set_defaults(usage_error=parser.error)


def main(args: argparse.Namespace) -> int:
    """See it, or set it: 1 when the gateway refuses, 3 when it cannot be reached."""
    if args.span is not None and args.level in (None, "reset"):
        args.usage_error("--for needs a level")
    try:
        answer = _ask(AdminClient.of(args), args.level, args.span)
    except Refused as error:
        return report(error)
    if args.json:
        print_json(answer)
    else:
        print(_said(answer))
    return 0


def _ask(client: AdminClient, level: str | None, span: str | None) -> Any:
    if level is None:
        return client.get("/log", "level")
    if level == "reset":
        return client.delete("/log", "level")
    return client.put("/log", "level", {"level": level} if span is None else {"level": level, "for": span})


def _said(answer: dict[str, Any]) -> str:
    level, left = answer["level"], answer["expires_in"]
    if not answer["by_hand"]:
        return f"{level}, as the config says"
    then = f"the config says {answer['configured']}"
    return f"{level}, set by hand; {then}" + ("" if left is None else f", which holds again in {seconds(left)}")
