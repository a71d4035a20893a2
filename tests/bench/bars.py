"""What the bench is held to, and the numbers that it is compared by."""

import dataclasses
import statistics

from tests.bench.measure import Sample, Table
from tests.bench.stampede import Stampede


@dataclasses.dataclass(frozen=True)
class Ratio:
    """Medians of the first over the second's, and what they may be at most (or at least)."""

    tables: tuple[str, ...]
    name: str
    other: str
    field: str
    limit: float
    what: str
    least: bool = False

    def line(self, key: str, table: Table) -> str | None:
        """Whether it holds; None where it says nothing of this table, or one of both is missing."""
        share = ratio(table, self.name, self.other, self.field)
        if key not in self.tables or share is None:
            return None
        verdict = "holds" if (share >= self.limit if self.least else share <= self.limit) else "MISSED"
        bound = "least" if self.least else "most"
        return f"{verdict}: {key}: {self.name} {share:.2f} {self.what}, at {bound} {self.limit:.2f}"


_EACH, _FREE = ("plain", "full", "limits"), ("plain", "full")
RATIOS = (
    Ratio(_EACH, "gateway", "envoy", "cpu_us", 1.0, "CPU a request of Envoy's"),
    Ratio(_FREE, "floor", "envoy", "cpu_us", 0.75, "CPU a request of Envoy's"),
    Ratio(_FREE, "gateway", "nginx", "p50_at_one", 2.0, "p50 at one connection of nginx's"),
    Ratio(("hits",), "gateway", "varnish", "per_second", 1.0, "requests/s of Varnish's", least=True),
    Ratio(("hits",), "gateway", "nginx", "per_second", 0.5, "requests/s of nginx's", least=True),
)
#: What Envoy takes where the bars below were set, microseconds of CPU a request. A machine on which it takes twice as
#: long takes about twice as long for everything, and a bar in microseconds says nothing there by itself.
ENVOY_THERE = 83.0
#: By how many microseconds of CPU a request the first may be above the second, where Envoy takes so long.
DIFFERENCES = (
    ("gateway", "gateway-plain", 15.0),
    ("gateway-varied", "gateway-plain-varied", 15.0),
    ("gateway-leased", "gateway", 5.0),
)
#: How many requests of a stampede may reach the origin.
FETCHES = (("gateway", 1), ("gateway-stale", 1))


def median(samples: list[Sample], field: str) -> float:
    """The median over the rounds of one field of the samples."""
    return statistics.median(float(getattr(sample, field)) for sample in samples)


def ratio(table: Table, name: str, other: str, field: str) -> float | None:
    """`name`'s median of `field` over `other`'s; None where one of them is missing."""
    if not table.samples.get(name) or not table.samples.get(other):
        return None
    return median(table.samples[name], field) / median(table.samples[other], field)


def above(table: Table, name: str, other: str) -> float:
    """By how many microseconds of CPU a request one is above the other: the median over the rounds."""
    pairs = zip(table.samples[name], table.samples[other], strict=False)
    return statistics.median(one.cpu_us - two.cpu_us for one, two in pairs)


def _difference(key: str, table: Table, name: str, other: str, most: float) -> str:
    more = above(table, name, other)
    there, scaled = "", more
    if table.samples.get("envoy"):
        scaled = more * ENVOY_THERE / median(table.samples["envoy"], "cpu_us")
        there = f", {scaled:.1f} where Envoy takes {ENVOY_THERE:.0f}"
    verdict = "holds" if scaled <= most else "MISSED"
    return f"{verdict}: {key}: {name} {more:.1f} us CPU a request above {other}{there}; at most {most:.0f}"


def bars(tables: dict[str, Table], stampede: Stampede | None = None) -> list[str]:
    """Every bar with whether it holds."""
    lines = []
    for key, table in tables.items():
        lines += [line for bar in RATIOS if (line := bar.line(key, table))]
        for name, other, most in DIFFERENCES:
            if table.samples.get(name) and table.samples.get(other):
                lines.append(_difference(key, table, name, other, most))
    for name, limit in FETCHES:
        if rounds := stampede.samples.get(name) if stampede else None:
            worst = max(max(each.new.requests, each.expired.requests) for each in rounds)
            verdict = "holds" if worst <= limit else "MISSED"
            lines.append(f"{verdict}: stampede: {name} {worst} requests at the origin, at most {limit}")
    return lines
