"""python -m tests.bench: measure, print, and write where asked."""

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import report, stampede
from tests.bench.bars import bars
from tests.bench.measure import Bench, Plan, Table, say
from tests.bench.proxies import PROXIES, family, program, program_version, version
from tests.bench.tables import NAMES


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="The gateway side by side with peers.")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the bench markers of FILE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    parser.add_argument("--tables", metavar="NAME,...", default=",".join(NAMES), help=f"of {', '.join(NAMES)}")
    parser.add_argument(
        "--peers",
        metavar="NAME,...",
        help=f"of {', '.join(proxy.name for proxy in PROXIES)}; `gateway` brings those that begin so",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each run at 64 connections")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 1 s: whether it works, not how fast it is")
    return parser.parse_args()


def main() -> int:
    """0 when the run is honest, 1 when a check failed (then nothing is written), 2 for a wrong command line."""
    asked = arguments()
    plan = Plan(2, 1, 1) if asked.quick else Plan(asked.rounds, asked.seconds, max(1, asked.seconds // 2))
    known = {proxy.name for proxy in PROXIES}
    names = set(asked.peers.split(",")) if asked.peers else known
    keys = asked.tables.split(",")
    if unknown := names - known | set(keys) - set(NAMES):
        print(f"no such proxy or table: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    if asked.write:
        report.check_markers(asked.write)
    wrk = program(("wrk",))
    if wrk is None:
        raise SystemExit("the bench needs wrk: apt-get install wrk")
    proxies = [proxy for proxy in PROXIES if {proxy.name, family(proxy.name)} & names]
    started = time.monotonic()
    tables: dict[str, Table] = {}
    waves: stampede.Stampede | None = None
    for key in keys:
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            Path(directory).chmod(0o755)  # nginx's worker is somebody else
            if key == "stampede":
                waves = stampede.run(proxies, Path(directory), plan.rounds)
            else:
                tables[key] = Bench(key, proxies, Path(directory), plan).run()
    results = {**tables, **({"stampede": waves} if waves else {})}
    present = [proxy for proxy in proxies if any(proxy.name in result.samples for result in results.values())]
    versions = [*dict.fromkeys(map(version, present)), f"wrk {program_version(wrk, '-v')}"]
    text = report.markdown(tables, waves, plan, versions)
    print(f"\n{text}\n")
    print("\n".join(bars(tables, waves)))
    retakes = sum(table.retakes for table in tables.values())
    say(f"took {(time.monotonic() - started) / 60:.1f} minutes, {retakes} measurements taken again for noise")
    if asked.json:
        asked.json.write_text(
            json.dumps({key: dataclasses.asdict(result) for key, result in results.items()}, indent=1)
        )
    wrong = [
        f"{key}: {name}: {what}"
        for key, result in results.items()
        for name, samples in result.samples.items()
        for sample in samples
        for what in sample.wrong
    ]
    if wrong:
        print("\nNot honest, not written:\n" + "\n".join(wrong), file=sys.stderr)
        return 1
    if asked.write:
        report.write(asked.write, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
