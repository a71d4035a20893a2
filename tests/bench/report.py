"""The tables as markdown, the bars of the bench, and their place in a file."""

import datetime as dt
import platform
import statistics
from pathlib import Path

from tests.bench.machine import cpu_model
from tests.bench.measure import MANY, Plan, Sample, Table

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

TITLES = {
    "plain": "Plain: a request id and a breaker or outlier check, no limits, no logs",
    "full": "Full: the same, with an access line for every request written to a file by all, and metrics",
    "limits": "Limits: as plain, with metrics, two rate limits (for all and for each address) and an in-flight cap",
}
HEAD = (
    f"| proxy | requests/s (of Envoy's) | CPU us a request (of Envoy's) | lowest to highest round "
    f"| p50 at {MANY}, ms | p99 at {MANY}, ms | p50 at 1, us (of nginx's) | p99 at 1, us | RSS, MiB |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)

#: Medians of the first over the second's, and what they may be at most.
RATIOS = (
    ("gateway", "envoy", "cpu_us", 1.0, "CPU a request of Envoy's"),
    ("floor", "envoy", "cpu_us", 0.75, "CPU a request of Envoy's"),
    ("gateway", "nginx", "p50_at_one", 2.0, "p50 at one connection of nginx's"),
)
#: By how many microseconds of CPU a request the first may be above the second.
DIFFERENCES = (("gateway", "gateway-plain", 15.0), ("gateway-leased", "gateway", 5.0))


def median(samples: list[Sample], field: str) -> float:
    """The median over the rounds of one field of the samples."""
    return statistics.median(float(getattr(sample, field)) for sample in samples)


def ratio(table: Table, name: str, other: str, field: str) -> float | None:
    """`name`'s median of `field` over `other`'s; None where one of them is missing."""
    if not table.samples.get(name) or not table.samples.get(other):
        return None
    return median(table.samples[name], field) / median(table.samples[other], field)


def markdown(tables: dict[str, Table], plan: Plan, versions: list[str]) -> str:
    """Everything that stands between the markers."""
    parts = [
        (
            f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {cpu_model()}, Linux {platform.release().split('-')[0]}. "
            "1 KiB GET, keep-alive on both sides; the proxy pinned to one core, wrk and an nginx origin to the "
            f"other; medians of {plan.rounds} interleaved rounds of {plan.seconds} s at {MANY} connections "
            f"and {plan.seconds_at_one} s at 1."
        )
    ]
    for key, table in tables.items():
        rows = sorted(table.samples, key=lambda name: median(table.samples[name], "cpu_us"))
        parts.append(f"**{TITLES[key]}**\n\n{HEAD}\n" + "\n".join(row(table, name) for name in rows))
        parts += [f"Left out: {name}, {why}." for name, why in table.left_out.items()]
    parts.append("Versions: " + ", ".join(versions) + ".")
    parts.append(
        noise([sample for table in tables.values() for samples in table.samples.values() for sample in samples])
    )
    return "\n\n".join(parts)


def row(table: Table, name: str) -> str:
    """One line of a table."""

    def against(other: str, field: str) -> str:
        share = ratio(table, name, other, field)
        return "" if share is None else f" ({share:.2f})"

    samples = table.samples[name]
    cpu = [sample.cpu_us for sample in samples]
    cells = [
        f"**{name}**" if name == "gateway" else name,
        f"{median(samples, 'per_second'):,.0f}{against('envoy', 'per_second')}",
        f"{median(samples, 'cpu_us'):.1f}{against('envoy', 'cpu_us')}",
        f"{min(cpu):.0f} to {max(cpu):.0f}",
        f"{median(samples, 'p50') / 1000:.1f}",
        f"{median(samples, 'p99') / 1000:.1f}",
        f"{median(samples, 'p50_at_one'):.0f}{against('nginx', 'p50_at_one')}",
        f"{median(samples, 'p99_at_one'):.0f}",
        f"{median(samples, 'rss') / 2**20:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


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


def bars(tables: dict[str, Table]) -> list[str]:
    """What the bench is held to, each with whether it holds."""
    lines = []
    for key, table in tables.items():
        for name, other, field, limit, what in RATIOS:
            share = ratio(table, name, other, field)
            if share is not None and (key != "limits" or field == "cpu_us"):
                verdict = "holds" if share <= limit else "MISSED"
                lines.append(f"{verdict}: {key}: {name} {share:.2f} {what}, at most {limit:.2f}")
        for name, other, most in DIFFERENCES:
            if table.samples.get(name) and table.samples.get(other):
                more = median(table.samples[name], "cpu_us") - median(table.samples[other], "cpu_us")
                verdict = "holds" if more <= most else "MISSED"
                lines.append(
                    f"{verdict}: {key}: {name} {more:.1f} us CPU a request above {other}, at most {most:.0f}"
                )
    return lines


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
