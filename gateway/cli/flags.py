"""`gateway flags`: a running gateway's flags: their values, changing them, their history, and why they say what."""

from __future__ import annotations

import argparse
import getpass
import json
import socket
from collections.abc import Callable
from typing import Any

from gateway.cli.admin_client import AdminClient, Refused, options, print_json, report, segment
from gateway.cli.figures import moment
from gateway.cli.table import plain, print_table

#: What `set` takes as a list, where it is written with commas.
_LISTS = frozenset({"addresses", "environments", "groups", "requires", "segments", "users"})
#: The same of a context.
_GROUPS = frozenset({"groups"})
_LONGEST_WHO = 100


def add(parser: argparse.ArgumentParser) -> None:
    """Register the arguments."""
    options(parser)
    commands = parser.add_subparsers(dest="verb", metavar="list|show|on|off|set|reset|history|why")
    _command(commands, "list", "see every flag: whether it is on, for whom, and by which layer")
    _command(commands, "show", "see what the file, the environment and operators say of a flag", named=True)
    _changing(_command(commands, "on", "enable a flag, in all replicas", named=True))
    _changing(_command(commands, "off", "disable a flag, in all replicas", named=True))
    change = _command(commands, "set", "change keys of a flag, in all replicas", named=True)
    change.add_argument(
        "keys",
        nargs="+",
        type=_pair,
        metavar="KEY=VALUE",
        help="as the config has them: rollout=25%% users=u1,u2, or JSON; KEY= leaves it to environment and file",
    )
    _changing(change)
    reset = _command(commands, "reset", "have what the environment and the file say of a flag hold", named=True)
    _changing(reset)
    history = _command(commands, "history", "see who changed a flag, when and why", named=True)
    history.add_argument("-n", type=_number, default=20, metavar="N", help="how many changes, up to 100 (20)")
    why = _command(commands, "why", "see what a flag says to somebody, and how it comes to that", named=True)
    why.add_argument(
        "context",
        nargs="*",
        type=_pair,
        metavar="FIELD=VALUE",
        help="user=u1 groups=a,b session=… address=… environment=… now=2026-01-31 header:X-Plan=pro",
    )


def _command(commands: Any, name: str, purpose: str, *, named: bool = False) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=purpose, description=purpose[0].upper() + purpose[1:] + "."
    )
    options(parser, again=True)
    if named:
        parser.add_argument("name", metavar="NAME")
    return parser


def _changing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--why", metavar="TEXT", help="for its history")
    parser.add_argument("--who", metavar="NAME", help="for its history; you, on this machine, where it is left out")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=VALUE")
    return name, value


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 100")
    return int(text)


def main(args: argparse.Namespace) -> int:
    """Do it: 1 when the gateway refuses, 3 when it cannot be reached."""
    do, show = _COMMANDS[args.verb]
    try:
        answer = do(AdminClient.of(args), args)
    except Refused as error:
        return report(error)
    if args.json:
        print_json(answer)
    else:
        show(answer)
    return 0


def _list(client: AdminClient, _: argparse.Namespace) -> Any:
    return client.get("/flags", "flags")


def _get(client: AdminClient, args: argparse.Namespace) -> Any:
    return client.get(_path(args), "value")


def _on(client: AdminClient, args: argparse.Namespace) -> Any:
    return _patch(client, args, {"enabled": True})


def _off(client: AdminClient, args: argparse.Namespace) -> Any:
    return _patch(client, args, {"enabled": False})


def _set(client: AdminClient, args: argparse.Namespace) -> Any:
    return _patch(client, args, {key: None if value == "" else _value(key, value) for key, value in args.keys})


def _patch(client: AdminClient, args: argparse.Namespace, live: dict[str, Any]) -> Any:
    return client.patch(_path(args), "value", {"live": live, **_by(args)})


def _reset(client: AdminClient, args: argparse.Namespace) -> Any:
    return client.delete(_path(args), "value", **_by(args))


def _history(client: AdminClient, args: argparse.Namespace) -> Any:
    return client.get(f"{_path(args)}/history", "changes", n=str(args.n))


def _why(client: AdminClient, args: argparse.Namespace) -> Any:
    context = {name: value.split(",") if name in _GROUPS else value for name, value in args.context}
    return client.post(f"{_path(args)}/why", "because", {"context": context})


def _path(args: argparse.Namespace) -> str:
    return f"/flags/{segment(args.name)}"


def _by(args: argparse.Namespace) -> dict[str, str]:
    """Who does this and why."""
    given = {"who": args.who or _somebody(), "why": args.why}
    return {name: value for name, value in given.items() if value}


def _somebody() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        return ""
    return f"{name}@{socket.gethostname()}"[:_LONGEST_WHO]


def _value(key: str, text: str) -> Any:
    """JSON where it is some, a list of those that are lists; else the text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    if key not in _LISTS or isinstance(value, list):
        return value
    return [one for part in text.split(",") if (one := part.strip())]


_FLAGS = ("FLAG", "ENABLED", "FOR", "VARIANTS", "BY", "CHANGED", "WHO", "WHY")


def _show_list(answer: Any) -> None:
    print_table(_FLAGS, map(_row, answer["flags"]), empty="No flags are defined.")
    if answer["kept"] == "memory":
        print("\nChanges are kept in this process's memory: `flags.store` or `state.redis` keeps them for good.")
    _show_ignored(answer["flags"])


def _row(flag: dict[str, Any]) -> list[object]:
    changed = flag["changed"] or {"when": None, "who": "", "why": ""}
    by = next(layer for layer in ("live", "environment", "file") if layer == "file" or flag[layer] is not None)
    variants = ", ".join(str(one.get("name")) for one in flag["value"].get("variants") or () if isinstance(one, dict))
    return [
        flag["name"],
        "yes" if flag["enabled"] else "no",
        _whom(flag["value"]),
        variants,
        by,
        moment(changed["when"]),
        changed["who"],
        changed["why"],
    ]


def _whom(value: dict[str, Any]) -> str:
    """For whom a flag is on, in short."""
    said = []
    if value.get("rollout") is not None:
        said.append(str(value["rollout"]))
    said += [f"{len(value[key])} {key}" for key in ("users", "groups", "addresses", "strategies") if value.get(key)]
    given = ("environments", "from", "until", "constraints", "segments", "requires")
    limits = [key for key in given if value.get(key)]
    return (" or ".join(said) or "everybody") + (f", within {', '.join(limits)}" if limits else "")


def _show_one(flag: Any) -> None:
    keys = dict.fromkeys(key for layer in ("file", "environment", "live") for key in flag[layer] or ())
    rows = [
        [key, *("" if flag[layer] is None else _cell(flag[layer], key) for layer in ("file", "environment", "live"))]
        for key in keys
    ]
    print(f"{flag['name']}: {'enabled' if flag['enabled'] else 'disabled'}, for {_whom(flag['value'])}")
    print_table(("KEY", "FILE", "ENVIRONMENT", "LIVE"), rows, empty="It is on for everybody.")
    if flag["changed"] is not None:
        changed = flag["changed"]
        print(f"changed {moment(changed['when'])} by {plain(changed['who'])}: {plain(changed['why']) or 'no reason'}")
    _show_ignored([flag])


def _cell(value: dict[str, Any], key: str) -> str:
    if key not in value:
        return ""
    return value[key] if isinstance(value[key], str) else json.dumps(value[key], ensure_ascii=False)


def _show_ignored(flags: list[dict[str, Any]]) -> None:
    for flag in flags:
        for why in flag["ignored"]:
            print(plain(f"{flag['name']}: its live value is not in force: {why}"))


def _show_history(answer: Any) -> None:
    rows = [
        (
            moment(change["when"]),
            change["who"],
            change["why"],
            "taken away" if change["live"] is None else json.dumps(change["live"], ensure_ascii=False),
        )
        for change in answer["changes"]
    ]
    print_table(("WHEN", "WHO", "WHY", "LIVE VALUE"), rows, empty="It was never changed at run time.")


def _show_why(found: Any) -> None:
    print(plain(f"{found['flag']}: {found['variant']}, for {found['because']} ({found['reason']})"))
    rows = [("requires", *_check(one)) for one in found["prerequisites"]]
    rows += [("must hold", *_check(one)) for one in found["guards"]]
    for number, strategy in enumerate(found["strategies"], 1):
        title = f"{number}. {strategy['strategy']}"
        rows += [(title, *_check(one)) for one in strategy["checks"]]
        bucket = strategy["bucket"]
        if bucket is not None:
            who = bucket["who"] or "nobody known: each request draws anew"
            place = "" if bucket["place"] is None else f"{bucket['place']:g}"
            said = f"below {bucket['below']:g} % of {bucket['group']}, by {bucket['stickiness']}"
            rows.append((title, said, _met(strategy["met"]), f"{who} {place}".strip()))
        elif not strategy["checks"]:
            rows.append((title, "", _met(strategy["met"]), ""))
    draw = found["draw"]
    if draw is not None:
        drawn = "named for it" if draw["drawn"] is None else f"drew {draw['drawn']} of {draw['of']}"
        rows.append(("variant", f"{draw['variant']}, by {draw['stickiness']}", "", drawn))
    if rows:
        print_table(("", "ASKED", "", "THE CONTEXT HAS"), rows, empty="")


def _check(check: dict[str, Any]) -> tuple[str, str, str]:
    return check["said"], _met(check["met"]), check["found"] or ""


def _met(met: bool) -> str:
    return "yes" if met else "no"


_COMMANDS: dict[str | None, tuple[Callable[[AdminClient, argparse.Namespace], Any], Callable[[Any], None]]] = {
    None: (_list, _show_list),
    "list": (_list, _show_list),
    "show": (_get, _show_one),
    "on": (_on, _show_one),
    "off": (_off, _show_one),
    "set": (_set, _show_one),
    "reset": (_reset, _show_one),
    "history": (_history, _show_history),
    "why": (_why, _show_why),
}
