"""X-Correlation-ID and W3C Trace Context: on responses, upstream requests and log lines."""

from __future__ import annotations

import re

import pytest

from tests.support.client import Client, fetch, head
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.message import Request
from tests.support.origin import Origin, ok
from tests.wire.conftest import Side, Start

WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{1,128}")
TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-0([0-3])")
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("value", ["a", "A-z_0.9", "x" * 128, "3f2504e0-4f89-11d3-9a0c-0305e82c3301"])
async def test_a_well_formed_id_is_kept_everywhere(side: Side, gateway: Gateway, origin: Origin, value: str) -> None:
    async with await side.connect() as client:
        response = await client.request("GET", f"{side.prefix}/", [("x-correlation-id", value)])
    assert response.value("x-correlation-id") == value.encode()
    assert origin.requests[0].value("x-correlation-id") == value.encode()
    await gateway.access_line(correlation_id=value, listener=side.name)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        ["x" * 129],
        ["a b"],
        ["a,b"],
        ["a\tb"],
        ["a/b"],
        ['"a"'],
        ["caf\xe9"],
        ["${jndi:ldap://x}"],
        ["a", "b"],
        ["a", "a"],
    ],
)
async def test_any_other_is_made_anew(gateway: Gateway, origin: Origin, values: list[str]) -> None:
    seen = set()
    for _ in range(2):
        response = await fetch(gateway.ingress, "GET", "/", [("X-Correlation-ID", value) for value in values])
        made = response.value("x-correlation-id")
        assert made is not None
        assert WELL_FORMED.fullmatch(made)
        assert made.decode() not in values
        assert origin.requests[-1].value("x-correlation-id") == made
        await gateway.access_line(correlation_id=made.decode())
        seen.add(made)
    assert len(seen) == 2


async def test_an_upstreams_own_id_does_not_reach_the_client(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: ok(b"ok", b"x-correlation-ID: theirs", b"X-Correlation-ID: again")
    response = await client.request("GET", "/", [("X-Correlation-ID", "ours")])
    assert response.value("x-correlation-id") == b"ours"


async def test_refusals_carry_it_too(client: Client, origin: Origin) -> None:
    origin.answer = lambda request: b"nonsense\r\n\r\n"
    response = await client.request("GET", "/", [("X-Correlation-ID", "kept")])
    assert assert_problem(response, 502)["correlation_id"] == "kept"
    client.send(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    assert WELL_FORMED.fullmatch(assert_problem(await client.response(), 400)["correlation_id"].encode())


async def test_another_header_may_carry_it(start: Start, origin: Origin) -> None:
    gateway = await start(correlation={"header": "X-Request-ID"})
    response = await fetch(gateway.ingress, "GET", "/", [("x-request-id", "mine"), ("X-Correlation-ID", "theirs")])
    assert response.value("x-request-id") == b"mine"
    assert "x-correlation-id" not in response.names()
    (request,) = origin.requests
    assert request.value("x-request-id") == b"mine"
    assert request.value("x-correlation-id") == b"theirs"  # not ours to touch, then


# Trace Context


def traceparent(request: Request) -> tuple[str, str, int]:
    """Trace id, parent id and flags of the one traceparent that the upstream saw."""
    value = request.value("traceparent")
    assert value is not None
    match = TRACEPARENT.fullmatch(value)
    assert match, value
    assert match[1] != b"0" * 32
    assert match[2] != b"0" * 16
    return match[1].decode(), match[2].decode(), int(match[3])


async def test_a_trace_begins_here(side: Side, gateway: Gateway, origin: Origin) -> None:
    async with await side.connect() as client:
        for _ in range(2):
            response = await client.request("GET", f"{side.prefix}/")
            trace_id, _, flags = traceparent(origin.requests[-1])
            assert flags == 3  # sampled, and a random id
            line = await gateway.access_line(correlation_id=response.values("x-correlation-id")[0].decode())
            assert line["trace_id"] == trace_id
    first, second = (traceparent(request) for request in origin.requests)
    assert first[0] != second[0]
    assert first[1] != second[1]


async def test_traces_that_begin_here_may_be_unsampled(start: Start, origin: Origin) -> None:
    gateway = await start(correlation={"sampled": False})
    await fetch(gateway.ingress, "GET", "/")
    assert traceparent(origin.requests[0])[2] == 2
    await fetch(gateway.ingress, "GET", "/", [("traceparent", f"00-{TRACE}-{PARENT}-01")])
    assert traceparent(origin.requests[1])[2] == 1


@pytest.mark.parametrize("flags", [0, 1, 2, 3])
async def test_a_trace_is_joined(side: Side, gateway: Gateway, origin: Origin, flags: int) -> None:
    fields = [("TraceParent", f"00-{TRACE}-{PARENT}-0{flags}"), ("tracestate", "a=1,b=2"), ("TraceState", "c@d=3")]
    async with await side.connect() as client:
        response = await client.request("GET", f"{side.prefix}/", fields)
    (request,) = origin.requests
    trace_id, parent, kept = traceparent(request)
    assert (trace_id, kept) == (TRACE, flags)
    assert parent != PARENT
    assert b",".join(request.values("tracestate")).replace(b" ", b"") == b"a=1,b=2,c@d=3"
    line = await gateway.access_line(correlation_id=response.values("x-correlation-id")[0].decode())
    assert line["trace_id"] == TRACE


@pytest.mark.parametrize(
    ("sent", "flags"),
    [
        (f"01-{TRACE}-{PARENT}-01", 1),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-brings", 1),
        (f"fe-{TRACE}-{PARENT}-ff", 3),
        (f"00-{TRACE}-{PARENT}-ff", 3),
    ],
)
async def test_later_versions_and_unknown_flags(gateway: Gateway, origin: Origin, sent: str, flags: int) -> None:
    await fetch(gateway.ingress, "GET", "/", [("traceparent", sent)])
    trace_id, _, kept = traceparent(origin.requests[0])
    assert (trace_id, kept) == (TRACE, flags)


@pytest.mark.parametrize(
    "sent",
    [
        [""],
        ["garbage"],
        [f"ff-{TRACE}-{PARENT}-01"],
        [f"00-{TRACE.upper()}-{PARENT}-01"],
        [f"00-{'0' * 32}-{PARENT}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE}-{PARENT}"],
        [f"00-{TRACE}-{PARENT}-1"],
        [f"00-{TRACE}-{PARENT}-01-more"],
        [f"cc-{TRACE}-{PARENT}-01.more"],
        [f"00-{TRACE}-{PARENT}-0g"],
        [f"00-{TRACE[:-1]}-{PARENT}-01"],
        [f"00-{TRACE}-{PARENT}-01"] * 2,
        [f"00-{TRACE}-{PARENT}-01,00-{TRACE}-{PARENT}-01"],
    ],
)
async def test_a_malformed_or_repeated_traceparent_begins_a_new_trace(
    gateway: Gateway, origin: Origin, sent: list[str]
) -> None:
    fields = [("traceparent", value) for value in sent]
    await fetch(gateway.ingress, "GET", "/", [*fields, ("tracestate", "a=1")])
    assert traceparent(origin.requests[0])[0] != TRACE
    assert "tracestate" not in origin.requests[0].names()


async def test_a_tracestate_alone_is_dropped(gateway: Gateway, origin: Origin) -> None:
    await fetch(gateway.ingress, "GET", "/", [("tracestate", "a=1")])
    assert "tracestate" not in origin.requests[0].names()


@pytest.mark.parametrize("state", ["a=1,a=2", "=", "A=1", "a=1;b=2,c", ",".join(f"k{n}=v" for n in range(33))])
async def test_a_malformed_tracestate_is_dropped_and_the_trace_kept(
    gateway: Gateway, origin: Origin, state: str
) -> None:
    await fetch(gateway.ingress, "GET", "/", [("traceparent", f"00-{TRACE}-{PARENT}-01"), ("tracestate", state)])
    assert traceparent(origin.requests[0])[0] == TRACE
    assert "tracestate" not in origin.requests[0].names()


async def test_pipelined_requests_have_their_own(client: Client, gateway: Gateway, origin: Origin) -> None:
    client.send(head("GET", "/1", [("X-Correlation-ID", "one")]) + head("GET", "/2", [("X-Correlation-ID", "two")]))
    for expected in (b"one", b"two"):
        assert (await client.response()).value("x-correlation-id") == expected
    assert [request.value("x-correlation-id") for request in origin.requests] == [b"one", b"two"]
