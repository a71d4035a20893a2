"""The tables as markdown, and their place in a file."""

import datetime as dt
import platform
import statistics
from pathlib import Path

from tests.bench.bars import median, ratio
from tests.bench.machine import cpu_model
from tests.bench.measure import MANY, Plan, Sample, Table
from tests.bench.stampede import CLIENTS, DELAY, Round, Stampede, Wave
from tests.bench.tables import TABLES

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

HEAD = (
    "| proxy | requests/s (of {rival}'s) | CPU us a request (of {rival}'s) | lowest to highest round "
    f"| p50 at {MANY}, ms | p99 at {MANY}, ms | p50 at 1, us (of nginx's) | p99 at 1, us | RSS, MiB |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)

STAMPEDE_HEAD = (
    f"**Stampede: {CLIENTS} clients ask at once for one object; the origin takes {DELAY * 1000:.0f} ms**\n\n"
    "| proxy | new object: requests at the origin (most) | last answer, ms (worst) "
    "| expired object: requests at the origin (most) | last answer, ms (worst) | stale answers |\n"
    "|---|---:|---:|---:|---:|---:|"
)


def markdown(tables: dict[str, Table], stampede: Stampede | None, plan: Plan, versions: list[str]) -> str:
    """Everything that stands between the markers."""
    parts = [
        (
            f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {cpu_model()}, Linux {platform.release().split('-')[0]}. "
            "1 KiB GET where nothing else is said, keep-alive on both sides; the proxy pinned to one core, wrk and "
            f"an nginx origin to the other; medians of {plan.rounds} interleaved rounds of {plan.seconds} s at "
            f"{MANY} connections and {plan.seconds_at_one} s at 1."
        )
    ]
    for key, table in tables.items():
        rows = sorted(table.samples, key=lambda name: median(table.samples[name], "cpu_us"))
        rival = TABLES[key].rival
        head = HEAD.replace("{rival}", rival.title())
        parts.append(f"**{TABLES[key].title}**\n\n{head}\n" + "\n".join(row(table, name, rival) for name in rows))
        parts += left_out(table)
    if stampede is not None:
        lines = (stampede_row(name, rounds) for name, rounds in stampede.samples.items())
        parts.append("\n".join((STAMPEDE_HEAD, *lines)))
        parts += left_out(stampede)
    parts.append("Versions: " + ", ".join(versions) + ".")
    if samples := [sample for table in tables.values() for samples in table.samples.values() for sample in samples]:
        parts.append(noise(samples))
    return "\n\n".join(parts)


def left_out(table: Table | Stampede) -> list[str]:
    """A line for each that is not in it."""
    return [f"Left out: {name}, {why}." for name, why in table.left_out.items()]


def row(table: Table, name: str, rival: str = "envoy") -> str:
    """One line of a table."""

    def against(other: str, field: str) -> str:
        share = ratio(table, name, other, field)
        return "" if share is None else f" ({share:.2f})"

    samples = table.samples[name]
    cpu = [sample.cpu_us for sample in samples]
    cells = [
        bold(name),
        f"{median(samples, 'per_second'):,.0f}{against(rival, 'per_second')}",
        f"{median(samples, 'cpu_us'):.1f}{against(rival, 'cpu_us')}",
        f"{min(cpu):.0f} to {max(cpu):.0f}",
        f"{median(samples, 'p50') / 1000:.1f}",
        f"{median(samples, 'p99') / 1000:.1f}",
        f"{median(samples, 'p50_at_one'):.0f}{against('nginx', 'p50_at_one')}",
        f"{median(samples, 'p99_at_one'):.0f}",
        f"{median(samples, 'rss') / 2**20:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def stampede_row(name: str, rounds: list[Round]) -> str:
    """One line of the stampede's table."""

    def both(waves: list[Wave]) -> list[str]:
        requests, last = [wave.requests for wave in waves], [wave.last for wave in waves]
        return [
            f"{statistics.median(requests):.0f} ({max(requests)})",
            f"{statistics.median(last):.0f} ({max(last):.0f})",
        ]

    new, expired = [each.new for each in rounds], [each.expired for each in rounds]
    stale = f"{statistics.median(wave.stale for wave in expired):.0f} of {CLIENTS}"
    return f"| {' | '.join([bold(name), *both(new), *both(expired), stale])} |"


def bold(name: str) -> str:
    """The gateway's row is seen first."""
    return f"**{name}**" if name == "gateway" else name


def noise(samples: list[Sample]) -> str:
    """How quiet the machine was, in one sentence."""
    spins = [sample.spin for sample in samples]
    steady = max(spins) / statistics.median(spins) - 1
    return (
        f"Noise: other processes and the hypervisor took {median(samples, 'others'):.0%} of the proxy's core in the "
        f"median measurement ({max(sample.others for sample in samples):.0%} in the worst) and "
        f"{median(samples, 'others_at_load'):.0%} of the load's core "
        f"({max(sample.others_at_load for sample in samples):.0%}); "
        f"a fixed loop on the proxy's core took up to {steady:.0%} longer than its median."
    )


def check_markers(path: Path) -> str:
    """The text of `path`; SystemExit when it has no place for the tables."""
    text = path.read_text() if path.exists() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise SystemExit(f"{path} has no {BEGIN} before an {END}: nowhere to write the tables")
    return text


def write(path: Path, tables: str) -> None:
    """Put `tables` between the markers in `path`."""
    text = check_markers(path)
    path.write_text(f"{text.split(BEGIN)[0]}{BEGIN}\n{tables}\n{END}{text.split(END)[1]}")
