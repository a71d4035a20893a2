"""python -m tests.soak: run the scenarios, print what was measured; 1 when a bound is broken."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.soak import cached, idle, shared, storm, transfers
from tests.soak.bulk import Origin
from tests.soak.memory import MIB, resident
from tests.soak.result import Result, table
from tests.support.client import Address
from tests.support.config import config
from tests.support.gateway import Gateway

SCENARIOS = ("transfers", "slow", "idle", "cache", "limits", "slots", "outages", "faults")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--only", metavar="NAME,...", help=f"of {', '.join(SCENARIOS)}; default: all but faults")
    parser.add_argument("--gib", type=float, default=4, help="of each large body (4)")
    parser.add_argument("--cache-gib", type=float, default=10, help="of distinct objects through a cache (10)")
    parser.add_argument("--seconds", type=float, default=60, help="of each slow reader (60)")
    parser.add_argument("--connections", type=int, default=10_000, help="that are idle (10,000)")
    parser.add_argument("--faults", type=float, metavar="MINUTES", default=0, help="of faults under load (none)")
    return parser.parse_args()


@contextmanager
def gateway_for(origin: Address) -> Iterator[Gateway]:
    """A gateway as it comes, in front of `origin`; more connections than the default, and no access lines."""
    with tempfile.TemporaryDirectory(prefix="soak-") as directory:
        settings = config(origin, ingress={"limits": {"connections": 100_000}}, log={"access": False})
        gateway = Gateway(Path(directory), settings).start(afresh=True)
        try:
            yield gateway
        finally:
            gateway.stop()


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def large_bodies(asked: argparse.Namespace, names: list[str]) -> Iterator[Result]:
    origin = Origin(transfers.RATE, asked.seconds)
    with gateway_for(origin.address) as gateway:
        idle_level = resident(gateway.pid)
        yield Result("resident before anything", idle_level / MIB, "MiB")
        if "transfers" in names:
            say(f"four bodies of {asked.gib:g} GiB")
            yield from transfers.at_full_speed(gateway, origin, idle_level, asked.gib)
        if "slow" in names:
            say(f"readers at 64 KiB/s, twice {asked.seconds:g} s")
            yield from transfers.at_a_snails_pace(gateway, origin, idle_level, asked.seconds)
    origin.close()


async def many_connections(asked: argparse.Namespace) -> list[Result]:
    count = idle.room(asked.connections)
    say(f"{count} idle connections")
    async with idle.small_origin() as origin:
        with gateway_for(origin) as gateway:
            return await idle.hold(gateway, count)


def main() -> int:
    asked = arguments()
    names = asked.only.split(",") if asked.only else [name for name in SCENARIOS if name != "faults" or asked.faults]
    if unknown := set(names) - set(SCENARIOS):
        print(f"no such scenario: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    results: list[Result] = []
    if {"transfers", "slow"} & set(names):
        results += large_bodies(asked, names)
    if "idle" in names:
        results += asyncio.run(many_connections(asked))
    if "cache" in names:
        results += cached.through(asked.cache_gib, say)
    if "limits" in names:
        results += asyncio.run(shared.limits(20, say))
    if "slots" in names:
        results += asyncio.run(shared.slots(say))
    if "outages" in names:
        results += asyncio.run(shared.outages(5, say))
    if "faults" in names:
        minutes = asked.faults or 10
        say(f"faults for {minutes:g} minutes")
        results += asyncio.run(storm.rage(minutes * 60, say))
    print(table(results))
    return int(any(result.broken for result in results))


if __name__ == "__main__":
    sys.exit(main())
