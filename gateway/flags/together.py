"""Flags that an app is told of together, each of them what most flags are: on for some users, groups and a share.

Twenty flags are a lot to look at for each request, so they are asked in one go (`bucket.Several`), their header lines
are joined a few at a time, and they are counted in one addition: a byte each of one number, which is taken apart
before a byte is full. And it is known what was said lately to whom: whoever opens a page asks again for each of its
parts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from gateway.flags.said import Said
from gateway.rules.flags.bucket import Several, Usual
from gateway.rules.flags.context import Asked

#: Askers that are known; more would crowd the processor's caches, and cost others more than they gain.
MOST_KNOWN = 256
#: Characters of an id and its groups, and bytes of header lines, that are worth remembering.
_LONGEST, _LONGEST_LINES = 200, 2048
#: Flags whose lines are joined beforehand: 32 ways to stand for five.
_JOINED = 5
#: A byte of `_sum` counts so many.
_FULL = 255


class UsualFlag(NamedTuple):
    """What a flag asks, and what it says to whom that lets in, and to everybody else."""

    asks: Usual
    on: Said
    off: Said


class Told(NamedTuple):
    """What was said to somebody: a byte for each flag, the same as a number, and the header lines."""

    said: bytes
    number: int
    lines: bytes


class Together:
    """Flags by their names, in the order in which the app is told."""

    __slots__ = ("_flags", "_joined", "_known", "_several", "_sum", "_times", "_worth_knowing", "names")

    def __init__(self, flags: Mapping[str, UsualFlag]) -> None:
        self.names = tuple(flags)
        self._flags = every = tuple(flags.values())
        self._several = Several([one.asks for one in every])
        self._joined = [
            (at, at + _JOINED, _Joined([(one.off.line, one.on.line) for one in every[at : at + _JOINED]]))
            for at in range(0, len(every), _JOINED)
        ]
        self._known: dict[tuple[str | None, str | None, Collection[str]], Told] = {}
        self._worth_knowing = sum(len(one.off.line) + 1 for one in every) <= _LONGEST_LINES
        #: What was said since it was counted last, added up, and how often.
        self._sum = self._times = 0

    def ask(self, asked: Asked) -> Told:
        """What they say to a request, counted. Its groups are hashable."""
        user, groups = asked.user, asked.groups
        session = None if user else asked.session
        told = self._known.get((user, session, groups)) if user or session else None
        if told is None:
            said = self._several.ask(asked)
            lines = b"".join([joined[said[first:last]] for first, last, joined in self._joined])
            told = Told(said, int.from_bytes(said, "little"), lines)
            if user or session:
                self._know(user, session, groups, told)
        self._sum += told.number
        self._times += 1
        if self._times == _FULL:
            self.count()
        return told

    def by_name(self, said: bytes) -> dict[str, Said]:
        """What each says."""
        return {name: one.on if on else one.off for name, on, one in zip(self.names, said, self._flags, strict=True)}

    def count(self) -> None:
        """Count what was said since this was done last."""
        times, self._times = self._times, 0
        total, self._sum = self._sum.to_bytes(len(self._flags), "little"), 0
        for on, one in zip(total, self._flags, strict=True):
            one.on.count += on
            one.off.count += times - on

    def _know(self, user: str | None, session: str | None, groups: Collection[str], told: Told) -> None:
        if self._worth_knowing and len(user or session or "") + sum(map(len, groups)) <= _LONGEST:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[user, session, groups] = told


class _Joined(dict[bytes, bytes]):
    """The header lines of a few flags by what these say, joined when they first say so."""

    def __init__(self, lines: Sequence[tuple[bytes, bytes]]) -> None:
        self._lines = lines

    def __missing__(self, said: bytes) -> bytes:
        joined = self[said] = b"".join([lines[on] for lines, on in zip(self._lines, said, strict=True)])
        return joined
