"""In which bucket somebody is: murmur3 (x86, 32 bits) of `GROUP:ID`, as Unleash normalises it.

Unleash has a hundred buckets, 1 to 100, and a share of n % takes those up to n. Here each of them is parted further,
by the same hash's higher digits, so that a share may have a fraction: whole shares are Unleash's to the user, and a
share that grows, by whatever step, takes more and gives up nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from mmh3 import hash as murmur3
from mmh3 import mmh3_32_uintdigest as digest  # of bytes, with the seed 0: the same hash in fewer steps

from gateway.rules.flags.context import Asked, Read, reader

#: Unleash's seeds: of who is in a share, and of who gets which variant.
SHARE_SEED, VARIANT_SEED = 0, 86_028_157

#: Parts of a bucket; a share is counted in these, so 100 * PARTS is everybody.
PARTS = 1000

_share = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%?").fullmatch

Test = Callable[[Asked], bool]

_T = TypeVar("_T")


def share(written: object) -> int | None:
    """`25%`, `25` or `0.5%` as thousandths of a percent; None for what is no share of a whole."""
    if isinstance(written, bool) or not isinstance(written, (str, int, float)):
        return None
    found = _share(str(written).strip())
    parts = None if found is None else round(float(found[1]) * PARTS)
    return parts if parts is not None and parts <= 100 * PARTS else None


def hashed(prefix: str, who: str, seed: int) -> int:
    """The hash of what is written after a prefix, whatever text it is.

    Of bytes: mmh3 ends the process where a text has a lone surrogate, which no bytes stand for.
    """
    try:
        return murmur3((prefix + who).encode(), seed, False)
    except UnicodeEncodeError:
        return murmur3((prefix + who).encode("utf-8", "replace"), seed, False)


def place(group: str, who: str) -> int:
    """Where somebody stands in a group, from 0 to 100 * PARTS; in a share of n parts are those below n."""
    found = hashed(f"{group}:", who, SHARE_SEED)
    return found % 100 * PARTS + found // 100 % PARTS


def normalized(group: str, who: str, most: int, seed: int = SHARE_SEED) -> int:
    """Unleash's bucket: 1 to `most`."""
    return hashed(f"{group}:", who, seed) % most + 1


def sticky(name: str) -> Read:
    """What somebody is told by: `default` is the user, else the session, else the request; `random` the request.

    Any other name is a field of the context; whoever lacks it is in no share.
    """
    if name == "default":
        return _default
    return _random if name == "random" else reader(name)


def within(parts: int, stickiness: str, group: str) -> Test:
    """Whether somebody is in a share."""
    return one_of(parts, stickiness, group, True, False)


def one_of(parts: int, stickiness: str, group: str, inside: _T, outside: _T) -> Callable[[Asked], _T]:
    """What somebody gets who is in a share, or who is not."""
    if parts <= 0:
        return lambda asked: outside  # noqa: ARG005 - whoever asks
    if parts >= 100 * PARTS and stickiness in ("default", "random"):
        return lambda asked: inside  # noqa: ARG005 - whoever asks
    prefix, who = f"{group}:", sticky(stickiness)
    if parts % PARTS:

        def finely(asked: Asked) -> _T:
            found = who(asked)
            return inside if found and place(group, found) < parts else outside

        return finely
    percent = parts // PARTS
    if stickiness == "default":
        return named_or_one_of(frozenset(), frozenset(), prefix, percent, (inside, inside, inside, outside))

    def wholly(asked: Asked) -> _T:
        found = who(asked)
        if not found:
            return outside
        try:
            return inside if murmur3((prefix + found).encode(), 0, False) % 100 < percent else outside
        except UnicodeEncodeError:
            return inside if hashed(prefix, found, SHARE_SEED) % 100 < percent else outside

    return wholly


def named_or_one_of(
    users: frozenset[str], groups: frozenset[str], prefix: str, percent: int, gets: tuple[_T, _T, _T, _T]
) -> Callable[[Asked], _T]:
    """What most flags ask, with nothing called but the hash: what a user of these gets, one of these groups, one in a
    share by `default`, and anybody else.
    """
    by_user, by_group, inside, outside = gets

    def unnamed(asked: Asked) -> _T:
        who = asked.user or asked.session or asked.random
        try:
            return inside if murmur3((prefix + who).encode(), 0, False) % 100 < percent else outside
        except UnicodeEncodeError:
            return inside if hashed(prefix, who, SHARE_SEED) % 100 < percent else outside

    def named(asked: Asked) -> _T:
        who = asked.user
        if who in users:
            return by_user
        if groups and (theirs := asked.groups) and not groups.isdisjoint(theirs):
            return by_group
        who = who or asked.session or asked.random
        try:
            return inside if murmur3((prefix + who).encode(), 0, False) % 100 < percent else outside
        except UnicodeEncodeError:
            return inside if hashed(prefix, who, SHARE_SEED) % 100 < percent else outside

    return named if users or groups else unnamed


class Usual(NamedTuple):
    """What `named_or_one_of` asks, taken apart."""

    users: frozenset[str]
    groups: frozenset[str]
    prefix: str
    percent: int


class Several:
    """Flags of which each is what most flags are, asked in one go: in less time than one by one."""

    __slots__ = ("_flags", "_groups", "_shares", "_users")

    def __init__(self, flags: Sequence[Usual]) -> None:
        self._flags = tuple(flags)
        self._shares = [(one.prefix.encode("utf-8", "replace"), one.percent) for one in flags]
        #: All who are named, and all groups: most requests are of none, and then no flag need be asked about them.
        self._users = frozenset().union(*(one.users for one in flags))
        self._groups = frozenset().union(*(one.groups for one in flags))

    def ask(self, asked: Asked) -> bytes:
        """A byte for each: 1 where the request's user is named, in a group or in the share, else 0."""
        user, theirs = asked.user, asked.groups
        who = (user or asked.session or asked.random).encode("utf-8", "replace")
        inside = [digest(prefix + who) % 100 < percent for prefix, percent in self._shares]
        if user in self._users or (theirs and not self._groups.isdisjoint(theirs)):
            for place, one in enumerate(self._flags):
                inside[place] = inside[place] or user in one.users or not one.groups.isdisjoint(theirs)
        return bytes(inside)


def _default(asked: Asked) -> str | None:
    return asked.user or asked.session or asked.random


def _random(asked: Asked) -> str | None:
    return asked.random
