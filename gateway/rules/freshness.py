"""How long a stored response is fresh, how old it is, and what may be done with it (RFC 9111, section 4.2; RFC 5861).

`judge` is asked once, when a response comes, and what it finds is kept with it; `decide` is asked for each request.
Times are seconds since 1970, ages and lifetimes seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from gateway.rules import http_date
from gateway.rules.cache_control import LONGEST, RequestDirectives, ResponseDirectives, delta_seconds

#: Statuses that may be stored though nothing says for how long (RFC 9110, section 15.1), without the partial 206.
BY_DEFAULT = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})

#: Longest lifetime that is but guessed: a day, past which section 4.2.2 of RFC 7234 wanted a warning.
LONGEST_GUESS = 86_400


class Source(Enum):
    """Who says how long a response is fresh."""

    #: The origin: s-maxage, max-age or Expires.
    ORIGIN = "origin"
    #: The route: ttl, negative ttl, or override.
    ROUTE = "route"
    #: Nobody; guessed from Last-Modified.
    GUESS = "guess"
    #: Nobody, and nothing to guess from.
    NONE = "none"


class Use(Enum):
    """What may be done with a stored response."""

    #: Answer with it (RFC 9111, section 4.2).
    FRESH = "fresh"
    #: Answer with it, for the client takes a stale one (section 5.2.1.2).
    STALE = "stale"
    #: Answer with it, and validate it in the background (RFC 5861, section 3).
    STALE_REVALIDATE = "stale-revalidate"
    #: Ask the origin first (section 4.3).
    VALIDATE = "validate"
    #: Answer 504, for the client wants nothing but a stored one (section 5.2.1.7).
    REFUSE = "refuse"


class Leeway(NamedTuple):
    """A route's own times. They are for what may be shared: for one caller's own answer judge by NO_LEEWAY."""

    #: Where the origin says nothing; None for nothing here, too.
    ttl: int | None = None
    #: The same for errors (404, 405, 410, 414, 501), for which `ttl` does not count.
    negative_ttl: int | None = None
    #: `ttl` counts whatever the origin says of times; what it says of who may store counts all the same.
    override: bool = False
    #: Where the origin does not name its own.
    stale_while_revalidate: int = 0
    stale_if_error: int = 0
    #: How long a stale answer may stand in for an origin that cannot be reached (RFC 9111, section 4.2.4).
    stale_if_unreachable: int = 0


NO_LEEWAY = Leeway()


class Freshness(NamedTuple):
    """What is kept of a response's times."""

    lifetime: int
    source: Source
    #: Its age when it came, and when that was.
    initial_age: float
    received: float
    #: Never used without asking the origin (RFC 9111, section 5.2.2.4).
    validate: bool = False
    #: Never used stale because a client would take it so (sections 5.2.2.2, 5.2.2.8, 5.2.2.10).
    firm: bool = False
    #: For how long past its lifetime each allows it.
    stale_while_revalidate: int = 0
    stale_if_error: int = 0
    stale_if_unreachable: int = 0

    def age(self, now: float) -> float:
        """How old it is (RFC 9111, section 4.2.3: current_age); it does not grow younger if the clock goes back."""
        return self.initial_age + (now - self.received if now > self.received else 0.0)

    def left(self, now: float) -> float:
        """For how long it is fresh still; what is not positive is stale."""
        return self.lifetime - self.age(now)

    def aged(self, now: float) -> Freshness:
        """The same, stale from now on: what a soft purge makes of it."""
        return self._replace(lifetime=min(self.lifetime, int(self.age(now))))


def age_field(lines: Sequence[bytes]) -> int:
    """What Age says. One that is not a single number says that it is as old as can be.

    RFC 9111, section 5.1, would have the first number of several count and what is none be ignored, which makes the
    response younger than it may be; that is for who must have an answer, and here there is always the origin.
    """
    if not lines:
        return 0
    if len(lines) > 1:
        return LONGEST
    told = delta_seconds(lines[0])
    return LONGEST if told is None else told


def initial_age(age_value: int, date: int | None, asked: float, received: float) -> float:
    """A response's age when it came (RFC 9111, section 4.2.3: corrected_initial_age).

    `asked` and `received` are when the request went out and the response came. A Date has whole seconds, so that is
    how it is compared: or everything would be up to a second old at birth.
    """
    apparent = max(0, int(received) - date) if date is not None else 0
    return max(float(apparent), age_value + max(0.0, received - asked))


def judge(
    status: int,
    said: ResponseDirectives,
    *,
    asked: float,
    received: float,
    age: Sequence[bytes] = (),
    date: Sequence[bytes] = (),
    expires: Sequence[bytes] = (),
    last_modified: Sequence[bytes] = (),
    leeway: Leeway = NO_LEEWAY,
    longest_guess: int = LONGEST_GUESS,
) -> Freshness:
    """All that is to be kept of a response's times.

    `age` and so on are its fields' values. Where `said` is of CDN-Cache-Control, leave `expires` out (RFC 9213, 2.2).
    """
    day = http_date.parse(date[0], received) if date else None
    overridden = leeway.override and leeway.ttl is not None and _is_for(status, said, errors=False)
    if overridden:
        said = said._replace(max_age=None, s_maxage=None, no_cache=False)
        expires = ()
    lifetime, source = _lifetime(status, said, day, expires, last_modified, received, leeway, longest_guess)
    grace = _grace(said, leeway, overridden=overridden)
    return Freshness(
        lifetime,
        source,
        initial_age(age_field(age), day, asked, received),
        received,
        said.no_cache,
        said.must_revalidate or said.proxy_revalidate or said.s_maxage is not None,
        *grace,
    )


def _lifetime(
    status: int,
    said: ResponseDirectives,
    date: int | None,
    expires: Sequence[bytes],
    last_modified: Sequence[bytes],
    received: float,
    leeway: Leeway,
    longest_guess: int,
) -> tuple[int, Source]:
    """RFC 9111, section 4.2.1: the first that is there."""
    if said.s_maxage is not None:
        return said.s_maxage, Source.ORIGIN
    if said.max_age is not None:
        return said.max_age, Source.ORIGIN
    # Without a Date it came when it was sent (RFC 9110, section 6.6.1).
    born = int(received) if date is None else date
    if expires:
        # One that is no date is a time in the past (RFC 9111, section 5.3).
        end = http_date.parse(expires[0], received)
        return (0 if end is None else max(0, min(end - born, LONGEST))), Source.ORIGIN
    if leeway.ttl is not None and not said.no_cache and _is_for(status, said, errors=False):
        return leeway.ttl, Source.ROUTE
    if leeway.negative_ttl is not None and not said.no_cache and _is_for(status, said, errors=True):
        return leeway.negative_ttl, Source.ROUTE
    if last_modified and (status in BY_DEFAULT or said.public):  # section 4.2.2
        changed = http_date.parse(last_modified[0], received)
        if changed is not None and changed < born:
            return min((born - changed) // 10, longest_guess), Source.GUESS
    return 0, Source.NONE


def _is_for(status: int, said: ResponseDirectives, *, errors: bool) -> bool:
    """Whether a route's time is for this status; a page that was not found is not kept as long as one that was."""
    return (status in BY_DEFAULT or said.public) and (status >= 400) is errors


def _grace(said: ResponseDirectives, leeway: Leeway, *, overridden: bool) -> tuple[int, int, int]:
    """For how long it may be used stale: while it is validated, on an error, and while nobody can be reached.

    must-revalidate and proxy-revalidate forbid all of it, as does no-cache (RFC 9111, section 4.2.4). s-maxage is
    proxy-revalidate too (5.2.2.10), so it forbids what the route allows; but a stale-while-revalidate or
    stale-if-error beside it modifies it, as extensions do (5.2.3): for a cache like this one it was written.
    """
    if said.must_revalidate or said.proxy_revalidate or said.no_cache:
        return 0, 0, 0
    meanwhile, on_error = said.stale_while_revalidate, said.stale_if_error
    if said.s_maxage is not None:
        return meanwhile or 0, on_error or 0, 0
    return (
        leeway.stale_while_revalidate if meanwhile is None or overridden else meanwhile,
        leeway.stale_if_error if on_error is None or overridden else on_error,
        leeway.stale_if_unreachable,
    )


def decide(stored: Freshness, wanted: RequestDirectives, now: float) -> Use:
    """What may be done with a stored response that is otherwise right for the request (RFC 9111, section 4)."""
    use = _decide(stored, wanted, now)
    return Use.REFUSE if use is Use.VALIDATE and wanted.only_if_cached else use


def _decide(stored: Freshness, wanted: RequestDirectives, now: float) -> Use:
    if stored.validate or wanted.no_cache:  # sections 5.2.2.4 and 5.2.1.4
        return Use.VALIDATE
    age = stored.age(now)
    left = stored.lifetime - age
    if not _young_enough(wanted, age) or (wanted.min_fresh is not None and left < wanted.min_fresh):  # 5.2.1.3
        return Use.VALIDATE
    if left > 0:
        return Use.FRESH
    if wanted.max_stale is not None and -left > wanted.max_stale:  # 5.2.1.2: it has said how stale at most
        return Use.VALIDATE
    if -left < stored.stale_while_revalidate:  # RFC 5861, section 3
        return Use.STALE_REVALIDATE
    if wanted.max_stale is not None and not stored.firm:  # 5.2.1.2, and 4.2.4 forbids the others
        return Use.STALE
    return Use.VALIDATE


def decide_on_error(stored: Freshness, wanted: RequestDirectives, now: float, *, unreachable: bool) -> bool:
    """Whether a stored response may answer when validating it failed (RFC 9111, section 4.2.4; RFC 5861, section 4).

    `unreachable`: no connection, or one that broke or timed out; else it was an answer of 500, 502, 503 or 504.
    """
    if stored.validate or wanted.no_cache:
        return False
    age = stored.age(now)
    late = age - stored.lifetime
    if not _young_enough(wanted, age):
        return False
    if late < 0:
        return True  # fresh; it was only not fresh enough
    if wanted.max_stale is not None and late > wanted.max_stale:
        return False
    allowed = stored.stale_if_error
    if not stored.firm and wanted.stale_if_error is not None:
        allowed = max(allowed, wanted.stale_if_error)
    return late < (max(allowed, stored.stale_if_unreachable) if unreachable else allowed)


def _young_enough(wanted: RequestDirectives, age: float) -> bool:
    """RFC 9111, section 5.2.1.1; nothing is younger than 0, which is how a browser reloads."""
    return wanted.max_age is None or (age <= wanted.max_age and wanted.max_age > 0)
