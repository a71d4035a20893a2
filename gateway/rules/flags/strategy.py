"""Strategies: each says for whom a flag is on, and the first that a request meets decides.

Those of Unleash, by its names and parameters (`default`, `userWithId`, `flexibleRollout`, the older
`gradualRollout…`, `remoteAddress`, `applicationHostname`). One that is not known here is met by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from gateway.rules.flags import addresses
from gateway.rules.flags.answer import SPLIT, STATIC, TARGETING, Answer
from gateway.rules.flags.bucket import PARTS, Test, share, sticky, within
from gateway.rules.flags.compiling import Notes, Place, as_text, shown
from gateway.rules.flags.constraint import Condition, conditions, never
from gateway.rules.flags.context import Read
from gateway.rules.flags.variants import Variants

_KEYS = frozenset(
    {
        "name",
        "title",
        "parameters",
        "constraints",
        "segments",
        "variants",
        "disabled",
        "sortOrder",
        "id",
        "featureName",
    }
)


class Draw(NamedTuple):
    """A share: who is told by what, in which group, and how many parts of `bucket.PARTS` a percent it has."""

    group: str
    stickiness: str
    who: Read
    parts: int


@dataclass(slots=True)
class Strategy:
    """One compiled. All conditions must be met; then its draw, if it has one, decides."""

    name: str
    conditions: tuple[Condition, ...]
    reason: str
    test: Test | None = None  # of the draw
    draw: Draw | None = None
    variants: Variants | None = None  # its own; else the flag's
    named: tuple[frozenset[str], frozenset[str]] | None = None  # the users and groups, where it asks for nothing else

    @property
    def on(self) -> Answer:
        """What it says where there are no variants."""
        return Answer(True, self.reason)


class Segments:
    """Named lists of constraints. One that is not known is met by nobody."""

    __slots__ = ("_known",)

    def __init__(self, known: Mapping[str, tuple[Condition, ...]]) -> None:
        self._known = known

    def conditions(self, raw: object, at: Place, notes: Notes) -> tuple[Condition, ...]:
        """The constraints of all that are named."""
        found: list[Condition] = []
        for number, name in enumerate(notes.texts(raw, at)):
            if name in self._known:
                found += self._known[name]
            else:
                notes.refuse((*at, number), f"no segment is called {shown(name)}")
                found.append(never(f"segment {name}, which there is not"))
        return tuple(found)


class Strategies:
    """Compiles the strategies of flags, on a machine of some name."""

    __slots__ = ("_hostname", "_notes", "_segments")

    def __init__(self, segments: Segments, hostname: str, notes: Notes) -> None:
        self._segments, self._hostname, self._notes = segments, hostname, notes

    def compiled(self, raw: object, flag: str, at: Place) -> Strategy | None:
        """One strategy as Unleash writes it; None where it is disabled."""
        notes = self._notes
        given = notes.mapping(raw, at, _KEYS)
        name = given.get("name")
        if notes.flag(given.get("disabled"), (*at, "disabled"), False):
            return None
        parameters = notes.mapping(given.get("parameters") or {}, (*at, "parameters"))
        rules = (
            *conditions(given.get("constraints"), (*at, "constraints"), notes),
            *self._segments.conditions(given.get("segments"), (*at, "segments"), notes),
        )
        made = self._of(str(name), parameters, flag, (*at, "parameters"))
        if made is None:
            notes.refuse((*at, "name"), f"no strategy is called {shown(name)}")
            made = Strategy(str(name), (never(f"{name}, which is no strategy"),), TARGETING)
        made.conditions = (*rules, *made.conditions)
        made.named = None if rules else made.named
        if rules and made.reason == STATIC:
            made.reason = TARGETING
        if given.get("variants"):
            made.variants = Variants(
                given["variants"],
                as_text(parameters.get("groupId")) or flag,
                as_text(parameters.get("stickiness")) or "default",
                (*at, "variants"),
                notes,
                by_rule=made.reason,
            )
        return made

    def _of(self, name: str, parameters: Mapping[str, Any], flag: str, at: Place) -> Strategy | None:
        group = as_text(parameters.get("groupId"))
        if name == "default":
            return Strategy(name, (), STATIC)
        if name == "userWithId":
            return users(name, self._list(parameters, "userIds", at))
        if name == "remoteAddress":
            return clients(name, self._list(parameters, "IPs", at), (*at, "IPs"), self._notes)
        if name == "applicationHostname":
            return self._on_hosts(name, self._list(parameters, "hostNames", at))
        if name == "flexibleRollout":
            by = self._notes.stickiness(parameters, at)
            return rollout(name, parameters.get("rollout"), by, group or flag, (*at, "rollout"), self._notes)
        older = {
            "gradualRolloutUserId": "userId",
            "gradualRolloutSessionId": "sessionId",
            "gradualRolloutRandom": "random",
        }
        if name in older:
            in_group = flag if name == "gradualRolloutRandom" else group or ""
            percent = parameters.get("percentage")
            return rollout(name, percent, older[name], in_group, (*at, "percentage"), self._notes)
        return None

    def _on_hosts(self, name: str, hosts: tuple[str, ...]) -> Strategy:
        here = self._hostname.lower() in (host.lower() for host in hosts)
        said = f"the host is one of [{', '.join(hosts)}]"
        return Strategy(name, () if here else (never(said),), STATIC)

    def _list(self, parameters: Mapping[str, Any], key: str, at: Place) -> tuple[str, ...]:
        text = as_text(parameters.get(key))
        if text is None:
            self._notes.refuse((*at, key), "a list is wanted, with commas")
            return ()
        return tuple(stripped for one in text.split(",") if (stripped := one.strip()))


def users(name: str, ids: tuple[str, ...]) -> Strategy:
    """On for these users."""
    among = frozenset(ids)
    read = attrgetter("user")
    met = Condition(lambda asked: asked.user in among, f"the user is one of {len(among)} listed", read)
    return Strategy(name, (met,), TARGETING, named=(among, frozenset()))


def groups(name: str, names: tuple[str, ...]) -> Strategy:
    """On for users of any of these groups."""
    among = frozenset(names)
    met = Condition(
        lambda asked: not among.isdisjoint(asked.groups),
        f"the user is in one of the groups [{', '.join(names)}]",
        lambda asked: ", ".join(asked.groups) or None,
    )
    return Strategy(name, (met,), TARGETING, named=(frozenset(), among))


def clients(name: str, texts: tuple[str, ...], at: Place, notes: Notes) -> Strategy:
    """On for clients of these addresses and networks."""
    read: Read = attrgetter("address")
    test = addresses.inside(read, addresses.networks(texts, at, notes))
    return Strategy(name, (Condition(test, f"the client is in [{', '.join(texts)}]", read),), TARGETING)


def rollout(name: str, written: object, stickiness: str, group: str, at: Place, notes: Notes) -> Strategy:
    """On for a share."""
    parts = share(written)
    if parts is None:
        notes.refuse(at, f"a share of 0 to 100 % is wanted, not {shown(written)}")
        return Strategy(name, (never("a share, which is wrong"),), SPLIT)
    test = within(parts, stickiness, group)
    whole = parts == 100 * PARTS and stickiness in ("default", "random")
    return Strategy(
        name,
        (),
        STATIC if whole else SPLIT,
        None if whole else test,
        Draw(group, stickiness, sticky(stickiness), parts),
    )
