"""`gateway status`: how a running gateway does; its connections, slow requests and the latency of its routes."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from gateway.cli.admin_client import AdminClient, Refused, options, print_json, report
from gateway.cli.figures import moment, seconds, share, short, size
from gateway.cli.screen import watch
from gateway.cli.table import Grid, Page, print_page
from gateway.settings.values import format_duration, parse_duration

#: The exit code of --check where something is wrong.
_NOT_HEALTHY = 1
#: Seconds between two looks of --watch, and at least.
_EVERY, _LEAST = 2.0, 0.2


def add(parser: argparse.ArgumentParser) -> None:
    """Register the arguments."""
    options(parser)
    _watching(parser)
    parser.add_argument("--check", action="store_true", help="exit with 1 unless all is healthy")
    commands = parser.add_subparsers(dest="verb", metavar="health|connections|slow|routes")
    _command(commands, "health", "see the state of each part, and what to do about what is wrong", listed=False)
    connections = _command(commands, "connections", "see connections, and exchanges that go on for long")
    connections.add_argument(
        "--over", type=_whole_seconds, default=10, metavar="SECONDS", help="those older than so many (10)"
    )
    _command(commands, "slow", "see requests that took more than a second")
    routes = _command(commands, "routes", "see routes with their traffic and latency, the slowest first")
    routes.add_argument("--window", choices=("1m", "5m", "start"), default="5m", help="the time counted over (5m)")


def _command(commands: Any, name: str, purpose: str, *, listed: bool = True) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=purpose, description=purpose.capitalize() + ".")
    options(parser, again=True)
    _watching(parser, again=True)
    if listed:
        parser.add_argument("-n", type=_number, default=20, metavar="N", help="how many, up to 100 (20)")
    return parser


def _watching(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    off: Any = argparse.SUPPRESS if again else False
    every: Any = argparse.SUPPRESS if again else _EVERY
    parser.add_argument("--watch", action="store_true", default=off, help="show it again and again, until Ctrl-C")
    parser.add_argument("--every", type=_pause, default=every, metavar="TIME", help="so often, as in 5s (2s)")


def _pause(text: str) -> float:
    try:
        pause = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if pause < _LEAST:
        raise argparse.ArgumentTypeError(f"{text!r} is less than {format_duration(_LEAST)}")
    return pause


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 100")
    return int(text)


def _whole_seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return int(text)


def main(args: argparse.Namespace) -> int:
    """Show it: 1 when the gateway refuses, or --check finds it not healthy; 3 when it cannot be reached."""
    ask, page = _COMMANDS[args.verb]
    client = AdminClient.of(args)
    try:
        answer = ask(client, args)
        if args.watch:
            return _watch(client, args, answer)
    except Refused as error:
        return report(error)
    if args.json:
        print_json(answer)
    else:
        print_page(page(answer))
    return _NOT_HEALTHY if args.check and answer.get("status", "healthy") != "healthy" else 0


def _watch(client: AdminClient, args: argparse.Namespace, first: Any) -> int:
    """From a first answer on; that it cannot be reached for a while ends nothing."""
    ask, page = _COMMANDS[args.verb]
    if args.json:
        _watch_json(client, args, first)
        return 0
    answers = [first]

    def look() -> Page:
        try:
            answer = answers.pop() if answers else ask(client, args)
        except OSError as error:
            return [f"{moment(time.time())}: {error}"]
        return page(answer)

    watch(look, args.every)
    return 0


def _watch_json(client: AdminClient, args: argparse.Namespace, answer: Any) -> None:
    ask, _ = _COMMANDS[args.verb]
    try:
        while True:
            print_json(answer, line=True)
            time.sleep(args.every)
            answer = ask(client, args)
    except KeyboardInterrupt:
        return


# ---- the summary

_TRAFFIC = ("LISTENER", "LAST", "REQ/S", "5XX", "429", "P50", "P95", "P99")


def _summary(client: AdminClient, _: argparse.Namespace) -> Any:
    return client.get("/summary", "findings")


def _summary_page(found: Any) -> Page:
    up = f"up {seconds(found['uptime'])}, instance {found['instance']}"
    page: list[str | Grid] = [f"gateway {found['version']}: {found['status']}, {found['phase']}, {up}", ""]
    if found["findings"]:
        page += [_parts(found["findings"]), ""]
    rows = [
        (one["listener"], span, *_rates(one[name]))
        for one in found["traffic"]
        for span, name in (("1m", "minute"), ("5m", "five_minutes"))
    ]
    page += [Grid(_TRAFFIC, rows, "There are no listeners."), ""]
    if found["breakers"]:
        page += [Grid(("BREAKER", "STATE", "RETRY"), map(_breaker, found["breakers"]), ""), ""]
    if found["caps"]:
        names = ("id", "in_flight", "limit", "queued", "queue")
        rows = [tuple(cap[name] for name in names) for cap in found["caps"]]
        page += [Grid(("CAP", "IN FLIGHT", "LIMIT", "QUEUED", "QUEUE"), rows, ""), ""]
    if found["flags"]:
        rows = [(flag["name"], moment(flag["when"]), flag["who"], flag["why"]) for flag in found["flags"]]
        page += [Grid(("FLAG", "CHANGED", "WHO", "WHY"), rows, ""), ""]
    return [*page, *_rest(found)]


def _rest(found: Any) -> list[str]:
    in_flight = ", ".join(f"{one['listener']} {one['in_flight']}" for one in found["traffic"])
    state = ", ".join(f"{one['backend']} {'up' if one['up'] else 'down'}" for one in found["state"])
    lines = [
        f"in flight: {in_flight or 'nothing'}",
        f"state: {state}",
        f"blocked keys: {found['blocked']}",
        f"slow in 5m: {found['slow']}",
    ]
    cache = found["cache"]
    if cache is not None:
        ratio = share(cache["hit_ratio"]) or "nobody asked"
        lines.append(f"cache in 5m: {ratio}; {cache['entries']} responses, {size(cache['bytes'])}")
    return lines


def _rates(traffic: dict[str, Any]) -> list[object]:
    return [
        f"{traffic['per_second']:.1f}",
        share(traffic["error_share"]),
        traffic["limited"],
        *(short(traffic[name]) for name in ("p50", "p95", "p99")),
    ]


def _breaker(breaker: dict[str, Any]) -> list[object]:
    state = breaker["state"].replace("_", "-") + (" (held)" if breaker["held"] else "")
    waits = breaker["state"] == "open" and not breaker["held"]
    return [breaker["name"], state, f"in {breaker['retry_after']}s" if waits else ""]


# ---- health


def _health(client: AdminClient, _: argparse.Namespace) -> Any:
    return client.get("/health", "parts")


def _health_page(health: Any) -> Page:
    return [f"{health['status']}, {health['phase']}", "", _parts(health["parts"])]


def _parts(parts: list[dict[str, Any]]) -> Grid:
    names = ("name", "state", "detail", "action")
    return Grid(("PART", "STATE", "WHY", "WHAT TO DO"), [[part[name] for name in names] for part in parts], "")


# ---- connections

_CLIENTS = ("LISTENER", "IDLE", "READING", "WAITING", "BUSY", "TUNNELS", "CLOSING", "LIMIT")
_UPSTREAMS = ("UPSTREAM", "IDLE", "BUSY", "CONNECTING", "WAITING", "LIMIT")
_LONG = ("AGE", "STATE", "ROUTE", "REQUEST", "UPSTREAM", "IN", "OUT", "CLIENT")


def _connections(client: AdminClient, args: argparse.Namespace) -> Any:
    return client.get("/connections", "long_running", over=str(args.over), n=str(args.n))


def _connections_page(found: Any) -> Page:
    page: list[str | Grid] = [
        Grid(_CLIENTS, [list(one.values()) for one in found["listeners"]], "There are no listeners."),
        "",
        Grid(_UPSTREAMS, [list(one.values()) for one in found["upstreams"]], "There are no upstreams."),
        "",
        Grid(_LONG, map(_long, found["long_running"]), f"Nothing is older than {found['over']:g}s."),
    ]
    more = found["long_running_total"] - len(found["long_running"])
    return [*page, f"{more} more"] if more else page


def _long(one: dict[str, Any]) -> list[object]:
    return [
        seconds(one["seconds"]),
        one["state"],
        one["route"],
        f"{one['method']} {one['path']}",
        one["upstream"],
        size(one["bytes_in"]),
        size(one["bytes_out"]),
        one["client"],
    ]


# ---- slow requests

_SLOW = ("TOOK", "UPSTREAM", "STATUS", "ROUTE", "REQUEST", "OVER AT", "CORRELATION ID")


def _slow(client: AdminClient, args: argparse.Namespace) -> Any:
    return client.get("/slow", "slowest", n=str(args.n))


def _slow_page(found: Any) -> Page:
    titles = (
        ("Slowest of the last hour:", "slowest"),
        ("Latest:", "latest"),
        ("Event streams and tunnels, the latest:", "lasting"),
    )
    page: list[str | Grid] = []
    for title, name in titles:
        page += [title, Grid(_SLOW, map(_slow_row, found[name]), f"None took {found['over']:g}s."), ""]
    return page[:-1]


def _slow_row(one: dict[str, Any]) -> list[object]:
    spent = f" of {one['upstream']}" if one["upstream"] else ""
    return [
        short(one["seconds"]),
        f"{short(one['upstream_seconds'])}{spent}",
        f"{one['status']} {one['error']}".rstrip(),
        one["route"],
        f"{one['method']} {one['path']}",
        moment(one["when"]),
        one["correlation_id"],
    ]


# ---- routes

_ROUTES = ("LISTENER", "ROUTE", "IN FLIGHT", "REQ/S", "5XX", "429", "P50", "P95", "P99", "LASTING")


def _routes(client: AdminClient, args: argparse.Namespace) -> Any:
    return client.get("/routes", "routes", window=args.window, n=str(args.n))


def _routes_page(found: Any) -> Page:
    rows = [
        (one["listener"], one["route"], one["in_flight"], *_rates(one["traffic"]), one["traffic"]["lasting"])
        for one in found["routes"]
    ]
    page: list[str | Grid] = [Grid(_ROUTES, rows, "There are no routes.")]
    more = found["total"] - len(rows)
    return [*page, f"{more} more"] if more else page


_COMMANDS: dict[str | None, tuple[Callable[[AdminClient, argparse.Namespace], Any], Callable[[Any], Page]]] = {
    None: (_summary, _summary_page),
    "health": (_health, _health_page),
    "connections": (_connections, _connections_page),
    "slow": (_slow, _slow_page),
    "routes": (_routes, _routes_page),
}
