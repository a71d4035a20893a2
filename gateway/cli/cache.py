"""`gateway cache`: a running gateway's cache: what it holds and finds, its keys, purging and warming."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from gateway.cli.admin_client import AdminClient, Refused, options, print_json, report
from gateway.cli.figures import seconds, share, short, size
from gateway.cli.progress import show_progress
from gateway.cli.table import print_table

#: Seconds between two looks at a warming.
_PAUSE = 0.2
#: URLs that one request may name.
_AT_ONCE = 25
_FAILED = 1


def add(parser: argparse.ArgumentParser) -> None:
    """Register the arguments."""
    options(parser)
    commands = parser.add_subparsers(dest="verb", metavar="stats|top|purge|warm")
    _command(commands, "stats", "see what the cache holds and has found, by tier and route")
    top = _command(commands, "top", "see the keys that are asked for most and least")
    top.add_argument("-n", type=_number, default=10, metavar="N", help="how many of each, up to 999 (10)")
    purge = _command(commands, "purge", "remove stored responses, or have them turn stale, in all replicas")
    by = purge.add_mutually_exclusive_group(required=True)
    by.add_argument("target", nargs="?", metavar="URL", help="with its query; a path alone means any host")
    by.add_argument("--tag", metavar="TAG", help="of a route, or of the responses' Cache-Tag or Surrogate-Key")
    by.add_argument("--pattern", metavar="PATTERN", help="path and query, in which * stands for anything")
    by.add_argument("--key", metavar="KEY", help="as `top` shows it")
    by.add_argument("--all", action="store_true", help="everything")
    purge.add_argument("--soft", action="store_true", help="turn stale, to be validated when asked for")
    warm = _command(commands, "warm", "fetch URLs before they are asked for, and wait until that is done")
    warm.add_argument("urls", nargs="*", metavar="URL", help="without any: what `cache.warm` in its config lists")
    warm.add_argument("--no-wait", action="store_true", help="begin, and do not wait")


def _command(commands: Any, name: str, purpose: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=purpose, description=purpose.capitalize() + ".")
    options(parser, again=True)
    return parser


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 999:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 999")
    return int(text)


def main(args: argparse.Namespace) -> int:
    """Do it: 1 when the gateway refuses, or something could not be warmed; 3 when it cannot be reached."""
    do, show = _COMMANDS[args.verb]
    try:
        answer = do(AdminClient.of(args), args)
    except Refused as error:
        return report(error)
    if args.json:
        print_json(answer)
    else:
        show(answer)
    return _FAILED if args.verb == "warm" and (answer["failed"] or answer["state"] == "stopped") else 0


def _stats(client: AdminClient, _: argparse.Namespace) -> Any:
    return client.get("/cache", "tiers")


def _top(client: AdminClient, args: argparse.Namespace) -> Any:
    return client.get("/cache/top", "hottest", n=str(args.n))


def _purge(client: AdminClient, args: argparse.Namespace) -> Any:
    given = {"tag": args.tag, "url": args.target, "pattern": args.pattern, "key": args.key, "all": args.all or None}
    body = {name: value for name, value in given.items() if value is not None}
    return client.post("/cache/purge", "purged", {**body, "soft": args.soft})


def _warm(client: AdminClient, args: argparse.Namespace) -> Any:
    urls = args.urls
    standing = client.post("/cache/warm", "total", {"urls": urls[:_AT_ONCE]} if urls else {})
    for start in range(_AT_ONCE, len(urls), _AT_ONCE):
        standing = client.post("/cache/warm", "total", {"urls": urls[start : start + _AT_ONCE]})
    if args.no_wait:
        return standing
    standings = [standing]
    show_progress("warming", _standings(client, standings))
    return standings[-1]


def _standings(client: AdminClient, seen: list[Any]) -> Iterator[Any]:
    """How it stands, until it has ended; the last one stays in `seen`."""
    while True:
        yield seen[-1]
        if seen[-1]["state"] != "running":
            return
        time.sleep(_PAUSE)
        seen[:] = [client.get("/cache/warm", "total")]


_TIERS = ("TIER", "STATE", "ENTRIES", "OF", "SIZE", "OF", "EVICTED", "HITS", "MISSES", "LOOK-UP")
_ROUTES = ("LISTENER", "ROUTE", "RATIO", "HIT", "STALE", "REVALIDATED", "MISS", "COLLAPSED", "BYPASS", "ERROR")
_REASONS = ("ROUTE", "NOT STORED BECAUSE OF", "RESPONSES")


def _show_stats(stats: Any) -> None:
    print_table(_TIERS, map(_tier_row, stats["tiers"]), empty="There is no cache.")
    print()
    print_table(_ROUTES, map(_route_row, stats["routes"]), empty="No route has a cache.")
    reasons = [
        (route["route"], reason["reason"], reason["count"])
        for route in stats["routes"]
        for reason in route["not_stored"]
    ]
    if reasons:
        print()
        print_table(_REASONS, reasons, empty="")
    print()
    purges, warming = stats["purges"], stats["warming"]
    waiting = f", {purges['waiting']} of them not told to the replicas yet" if purges["waiting"] else ""
    print(f"hit ratio: {share(stats['hit_ratio'])}; fetches under way: {stats['flights']}")
    print(f"purges: {purges['seen']}{waiting}")
    if warming["state"] != "idle":
        _show_warming(warming)


def _tier_row(tier: dict[str, Any]) -> list[object]:
    return [
        tier["tier"],
        "up" if tier["up"] else "down",
        *(_known(tier[name]) for name in ("entries", "max_entries")),
        *("" if tier[name] is None else size(tier[name]) for name in ("bytes", "max_bytes")),
        *(_known(tier[name]) for name in ("evictions", "hits", "misses")),
        short(tier["seconds"]),
    ]


def _route_row(route: dict[str, Any]) -> list[object]:
    names = ("hit", "stale", "revalidated", "miss", "collapsed", "bypass", "error")
    return [
        route["listener"],
        route["route"],
        share(route["hit_ratio"]),
        *(route["results"][name] for name in names),
    ]


_KEYS = ("KEY", "HITS", "SIZE", "AGE", "FRESH FOR", "ROUTE", "URL")


def _show_top(top: Any) -> None:
    for title, name in (("Hottest", "hottest"), ("Coldest", "coldest")):
        print(f"{title}:")
        print_table(_KEYS, map(_key_row, top[name]), empty="Nothing is stored.")
        print()


def _key_row(key: dict[str, Any]) -> list[object]:
    left = key["fresh_for"]
    fresh = seconds(left) if left > 0 else f"stale for {seconds(-left)}"
    return [key["key"], key["hits"], size(key["bytes"]), seconds(key["age"]), fresh, key["route"], key["url"]]


def _show_purged(answer: Any) -> None:
    told = {
        True: "; the other replicas are told",
        False: "; the other replicas will be told when the shared state answers",
        None: "",
    }
    print(f"{'turned stale' if answer['soft'] else 'removed'}: {answer['purged']}{told[answer['replicas_told']]}")


def _show_warming(warming: Any) -> None:
    dropped = f", {warming['dropped']} left out" if warming["dropped"] else ""
    left = f", {warming['left']} left" if warming["left"] else ""
    print(
        f"warming: {warming['state']}, {warming['done']} of {warming['total']} done, {warming['failed']} failed{left}"
        f"{dropped}, {warming['seconds']:.1f}s"
    )
    sys.stdout.flush()
    if warming["failures"]:
        print_table(("FAILED", "WHY"), [(one["url"], one["why"]) for one in warming["failures"]], empty="")


def _known(value: int | None) -> object:
    return "" if value is None else value


_COMMANDS: dict[str | None, tuple[Callable[[AdminClient, argparse.Namespace], Any], Callable[[Any], None]]] = {
    None: (_stats, _show_stats),
    "stats": (_stats, _show_stats),
    "top": (_top, _show_top),
    "purge": (_purge, _show_purged),
    "warm": (_warm, _show_warming),
}
