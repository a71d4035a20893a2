"""What a scenario measured, what it must stay under, and both as a table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Result:
    """One number. `bound` None: it is only told."""

    what: str
    value: float
    unit: str
    bound: float | None = None

    @property
    def broken(self) -> bool:
        return self.bound is not None and self.value > self.bound


def table(results: list[Result]) -> str:
    """Lines for people."""
    width = max(len(result.what) for result in results)
    lines = [f"{'':{width}}  {'measured':>12}  {'at most':>8}"]
    for result in results:
        bound = "" if result.bound is None else f"{result.bound:,g}"
        mark = "  BROKEN" if result.broken else ""
        lines.append(f"{result.what:{width}}  {result.value:>12,.1f}  {bound:>8}  {result.unit}{mark}")
    return "\n".join(lines)
