"""`ingress:` and `egress:` where to listen, whom to believe, what to refuse, and the routes."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from gateway.policies.cache import WAYS as CACHE_WAYS
from gateway.policies.cache import Cache
from gateway.policies.coalesce import WAY as COALESCE_WAY
from gateway.policies.flags import WAYS as FLAGS_WAYS
from gateway.policies.flags import Name as FlagName
from gateway.policies.headers import WAYS as HEADERS_WAYS
from gateway.policies.headers import Headers
from gateway.policies.in_flight import EACH as IN_FLIGHT_EACH
from gateway.policies.in_flight import WAYS as IN_FLIGHT_WAYS
from gateway.policies.in_flight import InFlightCap
from gateway.policies.request import WAYS as REQUEST_WAYS
from gateway.policies.request import RequestGuards
from gateway.policies.require import WAYS as REQUIRE_WAYS
from gateway.policies.timeout import WAYS as TIMEOUT_WAYS
from gateway.policies.timeout import TimeoutOverride
from gateway.rules.rate_key import Term
from gateway.settings import pattern
from gateway.settings.mistakes import nearest, shown
from gateway.settings.rate_rule import WAYS as RATE_LIMIT_WAYS
from gateway.settings.rate_rule import RateRule
from gateway.settings.rates import parse_user
from gateway.settings.types import Duration, Section, Size, Text, Whole, parse_name
from gateway.settings.values import Address, Network, parse_address, parse_network
from gateway.settings.wanted import EACH as WANTED_EACH
from gateway.settings.wanted import Wanted, Wants

#: Policies of the contract that come with later versions, on a listener, a route and an upstream.
POLICIES_NOT_YET = frozenset({"retry"})

# What llhttp, and so the gateway, can read; RFC 9110, section 9, and the registry of methods.
_METHOD_NAMES = (
    "ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY "
    "OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK "
    "UNLOCK UNSUBSCRIBE"
)
_METHODS = frozenset(_METHOD_NAMES.split())


def _method(text: str) -> str:
    if text in _METHODS:
        return str(text)
    near = nearest(text, _METHODS)
    hint = f"; did you mean {near!r}?" if near else ""
    raise ValueError(f"{shown(text)} is not a method that the gateway knows{hint}")


class Limits(Section):
    """What a listener takes from its clients; a default suits a sidecar."""

    connections: Annotated[int, Whole(low=1, high=1_000_000)] = 10_000
    """Open client connections."""
    request_line: Annotated[int, Size(low=64, high=1 << 20)] = 8 << 10
    """Bytes of the request line; a longer one gets 414."""
    header_size: Annotated[int, Size(low=64, high=1 << 20)] = 64 << 10
    """Bytes of a request's header fields; more get 431."""
    header_count: Annotated[int, Whole(low=1, high=10_000)] = 128
    """Header fields of a request; more get 431."""
    header_timeout: Annotated[float, Duration(low=0.001, high=3600)] = 10.0
    """From a request's first byte to the end of its header section; a slower one gets 408."""
    body_timeout: Annotated[float, Duration(low=0.001, high=3600)] = 30.0
    """Grace before `body_rate` counts."""
    body_rate: Annotated[int, Size(high=1 << 30)] = 64
    """Bytes a second that a body must keep to on average; 0 for no minimum. Our own pauses are not counted."""
    keep_alive: Annotated[float, Duration(high=86_400)] = 75.0
    """How long a client's idle connection is kept; 0 closes it after each response."""
    write_timeout: Annotated[float, Duration(low=0.001, high=86_400)] = 60.0
    """A client that takes no byte of its response for so long is cut."""
    linger: Annotated[float, Duration(high=60)] = 2.0
    """How long a refused request's body is still read, so that the client gets to see the refusal."""


class Route(Section):
    """Which requests go to which upstream. Routes are tried in the order written."""

    NOT_YET: ClassVar[frozenset[str]] = POLICIES_NOT_YET

    name: Annotated[str, Text(read=parse_name)] = ""
    """Label in metrics and logs; the pattern where it is not written."""
    path: Annotated[str, Text(read=pattern.parse_pattern)]
    """`/a` is exact, `/users/:id` one segment, `/static/**` a subtree, `/**` everything."""
    methods: Annotated[tuple[Annotated[str, Text(read=_method)], ...] | None, Field(min_length=1)] = None
    """Methods that it takes, all where it is not written; GET takes HEAD too."""
    upstream: Annotated[str, Text(read=parse_name)]
    """A name under `upstreams`."""
    when: Wants = ()
    """Flags without which it does not match, so that the next route is tried."""
    strip_prefix: Annotated[str | None, Text(optional=True, read=pattern.parse_prefix)] = None
    """Leading segments of the path that the upstream does not get to see."""
    timeout: Annotated[TimeoutOverride, TIMEOUT_WAYS] = TimeoutOverride()
    """What differs from the upstream's and the listener's timeouts."""
    flags: Annotated[tuple[FlagName, ...] | None, Field(max_length=1000), FLAGS_WAYS] = ()
    """Flags that the app is told of with its requests, besides the listener's; `false` for neither."""
    require: Annotated[tuple[Annotated[Wanted, WANTED_EACH], ...] | None, Field(max_length=1000), REQUIRE_WAYS] = ()
    """Flags without which it answers 404, besides the listener's; `false` for neither."""
    headers: Annotated[Headers | None, HEADERS_WAYS] = Headers()
    """Header fields to change, after the listener's changes; `false` for neither."""
    request: Annotated[RequestGuards, REQUEST_WAYS] = RequestGuards()
    """What requests must keep to, where it differs from the listener's; `false` for nothing."""
    rate_limit: Annotated[tuple[RateRule, ...] | None, RATE_LIMIT_WAYS] = ()
    """How much passes in what time, besides the listener's limits; `false` for neither."""
    cache: Annotated[Cache | None, CACHE_WAYS] = None
    """What is kept of its responses, where it differs from the listener's; `false` for nothing."""
    coalesce: Annotated[bool | None, COALESCE_WAY] = None
    """Requests that want the same at the same time share one fetch; by default where there is a cache."""
    in_flight: Annotated[tuple[Annotated[InFlightCap, IN_FLIGHT_EACH], ...] | None, IN_FLIGHT_WAYS] = ()
    """How many of its requests are under way at once, besides the listener's caps; `false` for neither."""

    @field_validator("strip_prefix")
    @classmethod
    def _strips_what_it_matches(cls, prefix: str | None, info: ValidationInfo) -> str | None:
        path = info.data.get("path")
        if prefix is not None and path is not None and not pattern.begins_with(path, prefix):
            raise ValueError("the route's path does not begin with this prefix")
        return prefix


def _named(routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Name the routes that have no name: after the pattern, its methods where two share it, a number at the last."""
    taken = {route.name for route in routes if route.name}
    patterns = Counter(route.path for route in routes if not route.name)
    named = []
    for route in routes:
        chosen = route.name
        if not chosen:
            chosen = route.path
            if route.methods and (patterns[route.path] > 1 or chosen in taken):
                chosen = f"{route.path} {','.join(route.methods)}"
            chosen = _unlike(chosen, taken)
            taken.add(chosen)
        named.append(route.model_copy(update={"name": chosen}))
    return tuple(named)


def _unlike(wanted: str, taken: set[str]) -> str:
    """`wanted` cut to a name's length, with a number behind it where it is taken."""
    chosen, number = wanted[:100], 1
    while chosen in taken:
        number += 1
        mark = f" #{number}"
        chosen = wanted[: 100 - len(mark)] + mark
    return chosen


class Listener(Section):
    """One listener of the data plane."""

    NOT_YET: ClassVar[frozenset[str]] = POLICIES_NOT_YET

    bind: Annotated[Address, Text(read=parse_address)]
    """Address and port; `:8080` is every interface, port 0 any free one."""
    trusted_proxies: tuple[Annotated[Network, Text(read=parse_network)], ...] = ()
    """Peers whose X-Forwarded-For and Forwarded are believed."""
    limits: Limits = Limits()
    """What it takes from its clients."""
    timeout: Annotated[TimeoutOverride, TIMEOUT_WAYS] = TimeoutOverride()
    """What differs from the upstreams' timeouts, for all its routes."""
    flags: Annotated[tuple[FlagName, ...] | None, Field(max_length=1000), FLAGS_WAYS] = ()
    """Flags that the app is told of with its routes' requests."""
    require: Annotated[tuple[Annotated[Wanted, WANTED_EACH], ...] | None, Field(max_length=1000), REQUIRE_WAYS] = ()
    """Flags without which all its routes answer 404."""
    headers: Annotated[Headers | None, HEADERS_WAYS] = Headers()
    """Header fields to change, for all its routes."""
    request: Annotated[RequestGuards, REQUEST_WAYS] = RequestGuards()
    """What requests must keep to, for all its routes."""
    user: Annotated[Term, Text(read=parse_user)] = Term("header", "X-User-Id")
    """Where requests say who their user is, for limits by user: `header:NAME` or `jwt:CLAIM`."""
    rate_limit: Annotated[tuple[RateRule, ...] | None, RATE_LIMIT_WAYS] = ()
    """How much passes in what time, over all its routes."""
    cache: Annotated[Cache | None, CACHE_WAYS] = None
    """What is kept of its routes' responses."""
    coalesce: Annotated[bool | None, COALESCE_WAY] = None
    """Requests to one of its routes that want the same at the same time share one fetch."""
    in_flight: Annotated[tuple[Annotated[InFlightCap, IN_FLIGHT_EACH], ...] | None, IN_FLIGHT_WAYS] = ()
    """How many requests are under way at once, over all its routes."""
    routes: Annotated[tuple[Route, ...], Field(min_length=1, max_length=1000), AfterValidator(_named)]
    """Tried in the order written."""


class Ingress(Listener):
    """In front of the app."""

    bind: Annotated[Address, Text(read=parse_address)] = Address("0.0.0.0", 8080)  # noqa: S104  (in a pod, its port)
    """Address and port; `:8080` is every interface, port 0 any free one."""


class Egress(Listener):
    """The app's calls out."""

    bind: Annotated[Address, Text(read=parse_address)] = Address("127.0.0.1", 8081)
    """Address and port; only the app itself should reach it, since it adds the upstreams' keys."""
