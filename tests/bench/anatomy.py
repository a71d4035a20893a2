"""python -m tests.bench.anatomy: where a request's time goes inside the gateway, step by step, under wrk's load.

The gateway runs as in the bench's first table (`--table full`, `limits`, `flags` or `hits` for others) with a clock
round each step. A step's own time is what it takes without the steps within it and without the clocks, which are
measured, too. What is left of the process's CPU belongs to no step: the event loop, the kernel's part of reading and
waiting, and the interpreter between the steps. Look at the shares; the clocks make small steps look larger than they
are.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from time import perf_counter_ns, process_time_ns

from gateway.cli.main import main as gateway

#: A step, and the callables whose own time it is.
STEPS = {
    "the request is parsed, judged and sorted": (
        "gateway.listeners.client_connection:ClientConnection.data_received",
        "gateway.listeners.request_reader:RequestReader.on_headers_complete",
        "gateway.rules.request_head:read",
    ),
    "from one step to the next": (
        "gateway.listeners.client_connection:ClientConnection.work",
        "gateway.pipeline:Pipeline.begin",
        "gateway.pipeline:Pipeline._finish",
    ),
    "correlation id and trace": ("gateway.policies.correlation:Stamp.open",),
    "the client's address": ("gateway.policies.trusted_proxies:ClientAddress.open",),
    "the route": ("gateway.rules.routing:Router.find",),
    "what a client says of flags is taken out": ("gateway.flags.gates:Strip.check",),
    "flags are asked, and the app is told": ("gateway.flags.gates:Tell.check",),
    "whom flags are asked for": ("gateway.flags.evaluator:Evaluator.of",),
    "rate limits": ("gateway.policies.rate_limit:RateLimit.check",),
    "in-flight cap": ("gateway.policies.in_flight:InFlight.check",),
    "breaker": (
        "gateway.rules.breaker:Circuit.admit",
        "gateway.rules.breaker:Circuit.answered",
        "gateway.rules.breaker:Circuit.record",
    ),
    "the cache's key": ("gateway.cache.asked:Reading.plain_key", "gateway.cache.asked:Reading.read"),
    "what is stored is found": ("gateway.cache.memory_store:MemoryStore.find",),
    "it is fresh, and may answer": ("gateway.cache.shelf:Shelf.answer",),
    "its head is written": ("gateway.cache.answer:fresh", "gateway.cache.answer:stored"),
    "a connection from the pool and back, its deadlines": (
        "gateway.upstreams.pool:Pool.take",
        "gateway.upstreams.pool:Pool.give_back",
    ),
    "the request is written anew": ("gateway.upstreams.request_lines:build",),
    "it is sent (the kernel delivers to the origin)": ("gateway.upstreams.connection:UpstreamConnection.send",),
    "the response is parsed, judged and sorted": (
        "gateway.upstreams.connection:UpstreamConnection.data_received",
        "gateway.upstreams.response_reader:ResponseReader.on_headers_complete",
    ),
    "the response is written anew": ("gateway.upstreams.relay:announce",),
    "it is sent (the kernel delivers to the client)": ("gateway.listeners.client_connection:ClientConnection.write",),
    "counts and histograms": (
        "gateway.telemetry.counters:RouteMetrics.end",
        "gateway.telemetry.counters:UpstreamMetrics.end",
    ),
    "what was taken is given back": ("gateway.exchange:Exchange.end",),
    "the access line": ("gateway.telemetry.access_log:AccessLog.write",),
}

ORIGIN = """
worker_processes 1; daemon off; error_log /dev/null; pid {dir}/origin.pid;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000;
  server {{ listen 127.0.0.1:{port} reuseport; location / {{ return 200 "{body}"; }} }} }}
"""

CONFIG = """
ingress:
  bind: 127.0.0.1:{port}
  routes:
    - {{path: /**, upstream: app{more}}}
upstreams:
  app: {{url: "http://127.0.0.1:{origin}"}}
metrics: false
admin: false
log: {{access: {access}}}
"""
RATES = ", rate_limit: [{limit: 1000000/s}, {limit: 1000000/s, by: ip}]"
NAMES = [f"FLAG_{number}" for number in range(20)]
FLAGS = "flags: {{context: {{user: 'header:X-User-Id'}}, define: {{{}}}}}".format(
    ", ".join(f"{name}: {{rollout: {5 * number}%, users: [u1], groups: [beta]}}" for number, name in enumerate(NAMES))
)
MORE = {
    "plain": "",
    "full": "",
    "limits": RATES + ", in_flight: 1000",
    "flags": f", flags: [{', '.join(NAMES)}]",
    "hits": RATES + ", cache: {ttl: 1h}",
}

INTERRUPTED = 1_000_000  # nanoseconds; a call that took longer stood still while others had the core, and is left out
PORT, ORIGIN_PORT = 7480, 7481
LINE = re.compile(r"^anatomy (\d+) (.*)$", re.MULTILINE)


def watched(config: str) -> None:
    """The gateway's own process, with clocks."""
    own: dict[str, int] = dict.fromkeys(STEPS, 0)
    calls: dict[str, int] = dict.fromkeys(STEPS, 0)
    within: list[int] = [0]  # what the steps inside the one that runs have taken
    begun = time.perf_counter_ns()
    for _ in range(100_000):
        perf_counter_ns()
    clock = (time.perf_counter_ns() - begun) // 100_000

    def put(step: str, place: str) -> None:
        module, _, path = place.partition(":")
        owner = importlib.import_module(module)
        *classes, name = path.split(".")
        for one in classes:
            owner = getattr(owner, one)
        before = getattr(owner, name)

        def timed(*args: object, **kwargs: object) -> object:
            within.append(0)
            start = perf_counter_ns()
            try:
                return before(*args, **kwargs)
            finally:
                taken = perf_counter_ns() - start
                inside = within.pop()
                within[-1] += taken + 2 * clock
                if taken < INTERRUPTED:
                    own[step] += taken - inside - clock
                    calls[step] += 1

        setattr(owner, name, timed)

    for step, places in STEPS.items():
        for place in places:
            put(step, place)

    def told(*_: object) -> None:
        said = {"cpu": process_time_ns(), "own": own, "calls": calls}
        os.write(2, f"anatomy {time.monotonic_ns()} {json.dumps(said)}\n".encode())

    signal.signal(signal.SIGUSR1, told)
    sys.exit(gateway(["run", "--config", config]))


def measure(table: str, seconds: int) -> list[tuple[str, float, float]]:
    """Steps with their microseconds a request and their share; the last two are the rest and the whole."""
    with tempfile.TemporaryDirectory(prefix="anatomy-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "config").mkdir()
        (directory / "origin.conf").write_text(ORIGIN.format(dir=name, port=ORIGIN_PORT, body="x" * 1024))
        config = directory / "config" / "gateway.yaml"
        access = "true" if table == "full" else "false"
        top = FLAGS if table == "flags" else ""
        config.write_text(top + CONFIG.format(port=PORT, origin=ORIGIN_PORT, more=MORE[table], access=access))
        with (directory / "out").open("wb") as out, (directory / "err").open("wb") as err:
            origin = subprocess.Popen(["taskset", "-c", "1", "nginx", "-c", f"{name}/origin.conf"], stderr=err)
            watched_gateway = subprocess.Popen(
                ["taskset", "-c", "0", sys.executable, "-m", "tests.bench.anatomy", "--watched", str(config)],
                stdout=out,
                stderr=err,
            )
            try:
                while b'"ready"' not in (directory / "err").read_bytes():
                    if watched_gateway.poll() is not None:
                        raise SystemExit((directory / "err").read_text())
                    time.sleep(0.1)
                load(1)
                watched_gateway.send_signal(signal.SIGUSR1)
                requests = load(seconds)
                watched_gateway.send_signal(signal.SIGUSR1)
                time.sleep(0.5)
            finally:
                watched_gateway.terminate()
                origin.terminate()
                watched_gateway.wait(30)
                origin.wait(30)
        first, last = (json.loads(text) for _, text in LINE.findall((directory / "err").read_text()))
    whole = (last["cpu"] - first["cpu"]) / requests / 1000
    rows = [
        (step, (last["own"][step] - first["own"][step]) / requests / 1000)
        for step in STEPS
        if last["calls"][step] > first["calls"][step]
    ]
    rows.append(("the event loop, waiting and reading, the task, all between", whole - sum(us for _, us in rows)))
    return [(step, us, us / whole) for step, us in [*rows, ("a request", whole)]]


def load(seconds: int) -> int:
    """Requests that wrk had answered."""
    done = subprocess.run(
        [
            "taskset",
            "-c",
            "1",
            "wrk",
            "-t1",
            "-c64",
            f"-d{seconds}",
            "-H",
            "X-User-Id: u-4711",
            f"http://127.0.0.1:{PORT}/x",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"(\d+) requests in", done.stdout)
    assert found is not None
    return int(found[1])


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.anatomy", description="Where a request's time goes.")
    parser.add_argument("--table", choices=tuple(MORE), default="plain")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--watched", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.watched:
        watched(asked.watched)
    print("| step | us | share |\n|---|---:|---:|")
    for step, us, share in measure(asked.table, asked.seconds):
        print(f"| {step} | {us:.1f} | {share:.0%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
