"""Which fields may carry the correlation id, and what an exchange gets of it; the ids themselves are the rules'."""

from __future__ import annotations

import re

import pytest

from gateway.entropy import Entropy
from gateway.exchange import Exchange
from gateway.policies.correlation import Correlation, Stamp, field_name
from gateway.rules.request_head import Interest
from tests.support.exchanges import Fields, exchange

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("text", ["X-Correlation-ID", "x-request-id", "Correlation_Id", "X-" + "a" * 98])
def test_fields_that_are_free(text: str) -> None:
    assert field_name(text) == text


@pytest.mark.parametrize("text", ["", "X Y", "X:", "Ä", "X\r\nY", "X-" + "a" * 99])
def test_what_is_no_field(text: str) -> None:
    with pytest.raises(ValueError, match="not the name of a header field"):
        field_name(text)


@pytest.mark.parametrize(
    "text", ["Host", "content-length", "Authorization", "Connection", "traceparent", "Set-Cookie"]
)
def test_fields_that_mean_something_else(text: str) -> None:
    with pytest.raises(ValueError, match="has a meaning of its own"):
        field_name(text)


# ---- on an exchange


def stamped(
    fields: Fields = (), header: str = "X-Correlation-ID", *, sampled: bool = True
) -> tuple[Exchange, list[bytes]]:
    """An exchange that has its ids, and the lines that its upstream gets."""
    one = exchange(fields=fields, interest=Interest(header, ingress=True))
    Stamp(Correlation(header=header, sampled=sampled), Entropy()).open(one)
    return one, b"".join(one.added).split(b"\r\n")[:-1]


def test_the_same_id_goes_both_ways_and_into_the_log() -> None:
    one, lines = stamped([(b"x-correlation-id", b"given.by-THE_caller")])
    assert one.correlation_id == "given.by-THE_caller"
    assert one.stamp == b"X-Correlation-ID: given.by-THE_caller\r\n"
    assert lines[0] == b"X-Correlation-ID: given.by-THE_caller"
    assert one.head.kept == [b"Host", b": ", b"a.example", b"\r\n"]


@pytest.mark.parametrize("given", [[], [b""], [b"a b"], [b"a"] * 2, [b"x" * 129], [b"\xc3\xa9"]])
def test_without_a_good_one_there_is_a_new_one_each_time(given: list[bytes]) -> None:
    ids = {stamped([(b"X-Correlation-ID", value) for value in given])[0].correlation_id for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)


def test_another_field_may_carry_it() -> None:
    one, lines = stamped([(b"X-Request-ID", b"theirs"), (b"X-Correlation-ID", b"the app's")], "X-Request-ID")
    assert one.stamp == b"X-Request-ID: theirs\r\n"
    assert lines[0] == b"X-Request-ID: theirs"
    assert b"the app's" in one.head.kept


def test_a_trace_is_joined_with_a_parent_of_our_own() -> None:
    one, lines = stamped([(b"traceparent", PARENT), (b"tracestate", b"a=1"), (b"Tracestate", b"b=2")])
    assert one.trace_id == "0af7651916cd43dd8448eb211c80319c"
    match = re.fullmatch(rb"traceparent: 00-0af7651916cd43dd8448eb211c80319c-([0-9a-f]{16})-01", lines[1])
    assert match
    assert match[1] != b"b7ad6b7169203331"
    assert lines[2:] == [b"tracestate: a=1,b=2"]


def test_a_trace_that_begins_here_is_sampled_as_the_config_says() -> None:
    for sampled, flags in [(True, b"03"), (False, b"02")]:
        one, lines = stamped(sampled=sampled)
        assert re.fullmatch(rb"traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-" + flags, lines[1])
        assert one.trace_id.encode() in lines[1]
        assert one.trace_id != one.correlation_id
        assert len(lines) == 2
