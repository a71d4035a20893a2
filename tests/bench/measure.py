"""One table of the bench: all proxies started, then measured in turn, round after round."""

import contextlib
import dataclasses
import os
import random
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench import checks, machine, wrk
from tests.bench.origin import Origin, Tally
from tests.bench.process import cpu_seconds
from tests.bench.proxies import Proxy, Running
from tests.bench.tables import TABLES
from tests.support.redis import RedisServer

MANY = 64  # connections of the run that saturates the proxy
DISTURBED = 0.10  # a measurement with more of a core taken by others is taken again


@dataclasses.dataclass(frozen=True)
class Plan:
    """How long and how often. Seconds are whole ones, as wrk takes them."""

    rounds: int
    seconds: int
    seconds_at_one: int


@dataclasses.dataclass(frozen=True)
class Sample:
    """One proxy in one round. Latencies in microseconds; shares are of one core's time during the run."""

    per_second: float
    cpu_us: float
    p50: int
    p99: int
    p50_at_one: int
    p99_at_one: int
    rss: int
    busy: float  # the proxy's own share: well under 1 means that wrk or the origin was the limit
    others: float  # what other processes and the hypervisor took of the proxy's core
    others_at_load: float  # and of the load's core
    spin: float  # CPU seconds of a fixed loop on the proxy's core just before
    wrong: tuple[str, ...]

    def disturbance(self) -> float:
        """The share of the core that was disturbed more."""
        return max(self.others, self.others_at_load)


@dataclasses.dataclass
class Table:
    """What one table is made of: samples by proxy, and why a proxy is not in it."""

    samples: dict[str, list[Sample]]
    left_out: dict[str, str]
    retakes: int = 0


class Bench:
    """The proxies of one table and the origin behind them, each on its core."""

    def __init__(self, table: str, proxies: list[Proxy], directory: Path, plan: Plan) -> None:
        self.table = table
        self.kind = TABLES[table]
        self.proxies = [proxy for proxy in proxies if table in proxy.tables]
        self.directory = directory
        self.plan = plan
        self.load_core, self.proxy_core = machine.cores()
        self.stack = contextlib.ExitStack()
        self.redis: RedisServer | None = None  # for shared limits
        self.logged: dict[str, int] = {}  # lines of access logs that were cut away
        self.handled: dict[str, int] = {}

    def run(self) -> Table:
        """Start all, measure all, stop all."""
        table = Table({}, {})
        with self.stack:
            self.origin = Origin(self.directory, self.load_core)
            self.stack.callback(self.origin.process.stop)
            if self.table == "limits":
                with machine.pinned(self.load_core):
                    self.redis = RedisServer().start()
                self.stack.callback(self.redis.kill)
            started = dict(self._start(table))
            for number in range(self.plan.rounds):
                # another order each round, so that nobody always follows the same one
                for name in random.Random(number).sample(sorted(started), len(started)):
                    self._measure(number, started[name], table)
            self._finish(started, table)
        return table

    def _start(self, table: Table) -> Iterator[tuple[str, tuple[Running, int]]]:
        for proxy in self.proxies:
            try:
                redis = self.redis.url if self.redis is not None else ""
                running = Running(
                    proxy, self.kind.folder, self.directory, self.origin.port, self.proxy_core, redis=redis
                )
            except RuntimeError as error:
                table.left_out[proxy.name] = str(error)
                say(f"{self.table}: {proxy.name} is left out: {error}")
                continue
            self.stack.callback(running.process.stop)
            self.logged[proxy.name] = self.handled[proxy.name] = 0
            if self.kind.cached:
                length, wrong = checks.probe_hits(running, self.origin, self.kind)
            else:
                length, wrong = checks.probe(running, self.origin)
            if wrong:
                table.left_out[proxy.name] = "; ".join(wrong)
                say(f"{self.table}: {proxy.name} is left out: {table.left_out[proxy.name]}")
                continue
            table.samples[proxy.name] = []
            yield proxy.name, (running, length)

    def _measure(self, number: int, started: tuple[Running, int], table: Table) -> None:
        running, length = started
        name = running.proxy.name
        self._cut_log(running)
        takes = [self._sample(running, length)]
        # A quarter more measurements at most: a machine that is never quiet must not keep the bench for ever.
        budget = self.plan.rounds * len(self.proxies) // 4
        while (takes[-1].wrong or takes[-1].disturbance() > DISTURBED) and table.retakes < budget and len(takes) < 3:
            table.retakes += 1
            takes.append(self._sample(running, length))
        best = min(takes, key=lambda sample: (bool(sample.wrong), sample.disturbance()))
        table.samples[name].append(best)
        say(
            f"{self.table} {number + 1}/{self.plan.rounds} {name:14} {best.per_second:7.0f}/s {best.cpu_us:6.1f} us"
            f"  at {MANY}: {best.p50}/{best.p99} us  at 1: {best.p50_at_one}/{best.p99_at_one} us"
            f"  busy {best.busy:.0%}  others {best.others:.0%} and {best.others_at_load:.0%} {' '.join(best.wrong)}"
        )

    def _sample(self, running: Running, length: int) -> Sample:
        process = running.process
        # This one opens the connections to the origin.
        self.handled[running.proxy.name] += self._answered(*self._load(running, MANY, 1))
        spin = machine.spin(self.proxy_core)
        before, started = self._times(), time.monotonic()
        cpu = process.cpu_seconds()
        many = self._run(running, MANY, self.plan.seconds)
        cpu = process.cpu_seconds() - cpu
        after, seconds = self._times(), time.monotonic() - started
        rss = process.rss()
        tally = self.origin.take()
        one, tally_at_one = self._load(running, 1, self.plan.seconds_at_one)
        wrong = [
            *self._check(running, many, tally, MANY, length),
            *self._check(running, one, tally_at_one, 1, length),
        ]
        self.handled[running.proxy.name] += self._answered(many, tally) + self._answered(one, tally_at_one)
        return Sample(
            per_second=many.requests / many.seconds,
            cpu_us=cpu * 1e6 / max(self._answered(many, tally), 1),
            p50=many.p50,
            p99=many.p99,
            p50_at_one=one.p50,
            p99_at_one=one.p99,
            rss=rss,
            busy=cpu / seconds,
            others=max(after[0] - before[0] - cpu, 0.0) / seconds,
            others_at_load=max(after[1] - before[1], 0.0) / seconds,
            spin=spin,
            wrong=tuple(wrong),
        )

    def _load(self, running: Running, connections: int, seconds: int) -> tuple[wrk.Load, Tally]:
        return self._run(running, connections, seconds), self.origin.take()

    def _run(self, running: Running, connections: int, seconds: int) -> wrk.Load:
        varied = running.proxy.varied
        return wrk.run(
            running.port, connections, seconds, self.load_core, self.kind.path, self.kind.fields, varied=varied
        )

    def _answered(self, measured: wrk.Load, tally: Tally) -> int:
        """How many requests the proxy handled: the origin's count where it saw them, wrk's of hits."""
        return measured.requests if self.kind.cached else tally.requests

    def _check(
        self, running: Running, measured: wrk.Load, tally: Tally, connections: int, length: int
    ) -> Iterator[str]:
        yield from checks.answers(measured, connections, length)
        if self.kind.cached:
            yield from checks.hits(tally)
        else:
            yield from checks.forwarded(measured, tally, connections, running.proxy.request_id)

    def _times(self) -> tuple[float, float]:
        """Seconds taken so far of the proxy's core (by anybody) and of the load's core (by others than the load)."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)  # wrk, once it has ended
        own = resource.getrusage(resource.RUSAGE_SELF)
        load = children.ru_utime + children.ru_stime + own.ru_utime + own.ru_stime
        load += self.origin.process.cpu_seconds()
        if self.redis is not None:
            load += cpu_seconds(self.redis.pid)
        return (
            sum(machine.core_times(self.proxy_core)),
            sum(machine.core_times(self.load_core)) - load,
        )

    def _cut_log(self, running: Running) -> None:
        """Count the lines of the access log so far and cut them away: a run writes hundreds of megabytes."""
        if running.log is not None and running.log.exists():
            with running.log.open("rb") as log:
                self.logged[running.proxy.name] += sum(
                    chunk.count(b"\n") for chunk in iter(lambda: log.read(1 << 20), b"")
                )
            os.truncate(running.log, 0)

    def _finish(self, started: dict[str, tuple[Running, int]], table: Table) -> None:
        """The checks that want the whole run: every request logged, the metrics there."""
        if self.table == "plain":
            return
        time.sleep(3)  # longer than any of them keeps a line, and as long as a count of leased tokens may lag
        for name, (running, _) in started.items():
            wrong: list[str] = []
            if running.log is not None:
                self._cut_log(running)
                wrong += checks.logged(self.logged[name], self.handled[name])
            if running.proxy.metrics:
                page, said = checks.metrics(running)
                wrong += said
                if self.kind.limits and running.proxy.allowed:
                    wrong += checks.decided(page, running.proxy.allowed, running.proxy.rules * self.handled[name])
                if self.kind.cached and running.proxy.hits:
                    wrong += checks.counted_hits(page, running.proxy.hits, self.handled[name])
            last = table.samples[name].pop()
            table.samples[name].append(dataclasses.replace(last, wrong=(*last.wrong, *wrong)))


def say(line: str) -> None:
    """Progress, where it does not get into the tables."""
    print(line, file=sys.stderr, flush=True)
