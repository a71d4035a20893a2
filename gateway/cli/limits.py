"""`gateway limits`: a running gateway's rate rules, in-flight caps, blocked keys, and what a key has left."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from gateway.cli.admin_client import AdminClient, Refused, options, print_json, report, segment
from gateway.cli.figures import seconds
from gateway.cli.table import print_table


def add(parser: argparse.ArgumentParser) -> None:
    """Register the arguments."""
    options(parser)
    commands = parser.add_subparsers(dest="verb", metavar="blocked|block|unblock|key|reset")
    _command(commands, "blocked", "list blocked keys")
    block = _command(commands, "block", "block a key at this replica")
    block.add_argument("key", metavar="KEY", help="as `blocked` and the log show it")
    block.add_argument("--for", dest="seconds", required=True, metavar="TIME", help="for how long, as in 10m")
    block.add_argument("--rule", metavar="RULE", help="only for this rule, by its id")
    block.add_argument("--reason", metavar="TEXT", help="for whoever looks at the list")
    unblock = _command(commands, "unblock", "lift the blocks of a key at this replica")
    unblock.add_argument("key", metavar="KEY")
    unblock.add_argument("--rule", metavar="RULE", help="only this rule's")
    key = _command(commands, "key", "see what a key has left")
    key.add_argument("rule", metavar="RULE", help="a rule's id, as `gateway limits` shows it")
    key.add_argument("key", metavar="KEY", nargs="?", help="without one: what all callers together have left")
    reset = _command(commands, "reset", "give keys all their tokens back")
    reset.add_argument("rule", metavar="RULE", help="a rule's id, as `gateway limits` shows it")
    reset.add_argument("key", metavar="KEY", nargs="?", help="without one: every key of the rule")


def _command(commands: Any, name: str, purpose: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=purpose, description=purpose.capitalize() + ".")
    options(parser, again=True)
    return parser


def main(args: argparse.Namespace) -> int:
    """Do it: 1 when the gateway refuses, 3 when it cannot be reached."""
    ask, show = _COMMANDS[args.verb]
    try:
        answer = ask(AdminClient.of(args), args)
    except Refused as error:
        return report(error)
    if args.json:
        print_json(answer)
    else:
        show(answer)
    return 0


def _all(client: AdminClient, _: argparse.Namespace) -> Any:
    return client.get("/limits", "rules")


def _blocked(client: AdminClient, _: argparse.Namespace) -> Any:
    return client.get("/limits/blocked", "blocked")


def _block(client: AdminClient, args: argparse.Namespace) -> Any:
    body = {"key": args.key, "for": args.seconds, "rule": args.rule, "reason": args.reason}
    return client.post(
        "/limits/blocked", "blocked", {name: value for name, value in body.items() if value is not None}
    )


def _unblock(client: AdminClient, args: argparse.Namespace) -> Any:
    return client.delete(f"/limits/blocked/{segment(args.key)}", "lifted", rule=args.rule)


def _key(client: AdminClient, args: argparse.Namespace) -> Any:
    return client.get("/limits/keys", "remaining", rule=args.rule, key=args.key)


def _reset(client: AdminClient, args: argparse.Namespace) -> Any:
    return client.delete("/limits/keys", "reset", rule=args.rule, key=args.key)


_RULES = ("RULE", "LIMIT", "BY", "MODE", "ALLOWED", "REFUSED", "BLOCKED", "SHADOW", "SKIPPED", "FALLBACK")
_CAPS = ("CAP", "IN FLIGHT", "LIMIT", "QUEUED", "QUEUE", "ADMITTED", "REFUSED", "TIMED OUT")


def _show_all(limits: Any) -> None:
    print_table(_RULES, map(_rule_row, limits["rules"]), empty="There are no rate rules.")
    print()
    print_table(_CAPS, map(_cap_row, limits["caps"]), empty="There are no in-flight caps.")


def _rule_row(rule: dict[str, Any]) -> list[object]:
    counts = rule["counts"]
    limit = f"{rule['limit']}/" + (f"calendar-{rule['calendar']}" if rule["calendar"] else _period(rule["period"]))
    if rule["burst"] != rule["limit"]:
        limit += f" burst {rule['burst']}"
    mode = rule["mode"] + (", shadow" if rule["shadow"] else "")
    names = ("allowed", "refused", "blocked", "shadow_refused", "skipped", "fallback")
    return [rule["id"], limit, ", ".join(rule["by"]), mode, *(counts[name] for name in names)]


def _period(period: float) -> str:
    return {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "day"}.get(period) or f"{period:g}s"


def _cap_row(cap: dict[str, Any]) -> list[object]:
    name = f"{cap['scope']} {cap['name']}" + (f" by {', '.join(cap['by'])}" if cap["by"] else "")
    counts = cap["counts"]
    return [
        name + (" (adaptive)" if cap["adaptive"] else ""),
        *(cap[number] for number in ("in_flight", "limit", "queued", "queue")),
        *(counts[number] for number in ("admitted", "refused", "timed_out")),
    ]


def _show_blocked(answer: Any) -> None:
    rows = [
        (blocked["key"], blocked["rule"], seconds(blocked["expires_in"]), blocked["reason"])
        for blocked in answer["blocked"]
    ]
    print_table(("KEY", "RULE", "FREE IN", "WHY"), rows, empty="No key is blocked.")
    if answer["total"] > len(rows):
        print(f"{answer['total'] - len(rows)} more")


def _show_lifted(answer: Any) -> None:
    print(f"lifted: {answer['lifted']}")


def _show_key(standing: Any) -> None:
    blocked = standing["blocked"]
    row = (
        standing["key"] or "(all)",
        standing["remaining"],
        standing["limit"],
        seconds(standing["reset"]),
        "" if standing["known"] else "nothing is known of it",
        f"blocked for {seconds(blocked['expires_in'])}" if blocked else "",
    )
    print_table(("KEY", "LEFT", "OF", "WHOLE IN", "", ""), [row], empty="")


def _show_reset(answer: Any) -> None:
    print(f"reset: {answer['reset']}")


_COMMANDS: dict[str | None, tuple[Callable[[AdminClient, argparse.Namespace], Any], Callable[[Any], None]]] = {
    None: (_all, _show_all),
    "blocked": (_blocked, _show_blocked),
    "block": (_block, _show_blocked),
    "unblock": (_unblock, _show_lifted),
    "key": (_key, _show_key),
    "reset": (_reset, _show_reset),
}
