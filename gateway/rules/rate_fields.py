"""`RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers-11 has them, and `Retry-After`.

Of a rule, `q` and `w` are the limit and its time as they are written in the config: what a client may do on and on.
The burst is not among them, for it is no allowance of its own; what a client may do at once is always `r`. `t` is the
time until all of the quota is there again. It is never shorter than Retry-After, which tells when the next request
fits. A calendar's month has no `w`, because months differ in length. Bytes have `qu`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from gateway.rules.gcra import Standing

#: What a calendar's window takes in seconds; a day when clocks do not change.
WINDOWS: dict[str, int | None] = {"hour": 3600, "day": 86_400, "month": None}


class Policy(NamedTuple):
    """A rule as a client is told of it: `window` in seconds, None for one that has no length of its own."""

    name: str
    quota: int
    window: float | None
    in_bytes: bool = False


class Lines:
    """The two lines for a request that certain rules apply to, with places for how each stands."""

    __slots__ = ("_filled", "_template", "_values", "count")

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.count = len(policies)
        announced = ", ".join(map(_policy, policies)).replace("%", "%%")
        standing = ", ".join(string(policy.name).replace("%", "%%") + ";r=%d;t=%d" for policy in policies)
        text = f"RateLimit-Policy: {announced}\r\nRateLimit: {standing}\r\n" if policies else ""
        self._template = text.encode("ascii")
        #: The last ones, for the next are often the same.
        self._values: Sequence[int] = ()
        self._filled = b""

    def fill(self, standings: Sequence[Standing]) -> bytes:
        """The lines, of as many standings as there are policies."""
        values: list[int] = []
        for standing in standings:
            values += (standing.remaining, ceil(standing.reset))
        return self.filled(values)

    def filled(self, values: Sequence[int]) -> bytes:
        """The lines, of tokens left and seconds until all are there, of one policy after the other.

        Nobody changes these `values` afterwards.
        """
        if values != self._values:
            self._filled = self._template % tuple(values)
            self._values = values
        return self._filled


def retry_after(standing: Standing) -> int | None:
    """Whole seconds after which a charge like this one fits, at least 1; None where it never does."""
    return None if standing.retry_after < 0 else max(1, ceil(standing.retry_after))


def _policy(policy: Policy) -> str:
    unit = ';qu="content-bytes"' if policy.in_bytes else ""
    window = "" if policy.window is None else f";w={max(1, ceil(policy.window))}"
    return f"{string(policy.name)};q={policy.quota}{unit}{window}"


def string(name: str) -> str:
    """An sf-string (RFC 9651, section 3.3.3); names are printable ASCII."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
