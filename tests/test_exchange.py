"""An exchange gives back what it took exactly once; its request's body reaches who takes it, whole and bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.errors import SlowRequest
from gateway.exchange import BODY_BUFFER, NO_BODY, NOWHERE, Fields, RequestBody
from tests.support.exchanges import Uploading, exchange


class Sink:
    """Keeps a body; holds its source back from a certain size on, as a transport does."""

    def __init__(self, source: Uploading | None = None, room: int = 1 << 30) -> None:
        self.body = b""
        self.ends = 0
        self._source = source
        self._room = room

    def chunk(self, data: bytes) -> None:
        assert not self.ends, "bytes behind the end"
        self.body += data
        if self._source is not None and len(self.body) > self._room:
            self._source.pause_reading()

    def end(self, trailers: Fields) -> None:
        assert trailers == []
        self.ends += 1


# ---- the end of an exchange


@given(st.lists(st.integers()))
def test_what_was_taken_is_given_back_once_last_first(taken: list[int]) -> None:
    one = exchange()
    given_back: list[int] = []
    for number in taken:
        one.at_end(lambda number=number: given_back.append(number))  # type: ignore[misc]
    one.end()
    one.end()
    assert given_back == taken[::-1]


def test_what_is_taken_behind_an_end_is_given_back_at_the_next() -> None:
    one = exchange()
    given_back: list[str] = []
    one.at_end(lambda: one.at_end(lambda: given_back.append("late")))
    one.end()
    assert given_back == []
    one.end()
    assert given_back == ["late"]


def test_an_exchange_begins_as_its_head_says() -> None:
    one = exchange(b"POST", b"http://b.example/x?y", [(b"Content-Length", b"5"), (b"Connection", b"close")])
    assert (one.method, one.path, one.query, one.host) == (b"POST", b"/x", b"?y", b"b.example")
    assert not one.keep_alive
    assert one.client == one.peer == "192.0.2.1"
    one.body.feed(b"abc")
    assert one.bytes_in == 3
    one.tunnelled_in = 4
    assert one.bytes_in == 7


# ---- the body


def test_no_body_is_whole_and_shared_by_all_who_have_none() -> None:
    assert exchange().body is NO_BODY
    assert NO_BODY.complete
    NO_BODY.keep_copy()
    assert NO_BODY.rewind()
    assert exchange(b"POST", fields=[(b"Content-Length", b"0")]).body is NO_BODY
    assert NO_BODY.received == 0


def test_a_body_without_a_taker_holds_its_source_back() -> None:
    source = Uploading()
    body = RequestBody(source)
    body.feed(b"x" * BODY_BUFFER)
    assert not source.paused
    body.feed(b"x")
    assert source.paused
    sink = Sink()
    body.attach(sink)
    assert not source.paused
    assert len(sink.body) == BODY_BUFFER + 1


def test_a_taker_that_is_full_at_once_holds_it_back_still() -> None:
    source = Uploading()
    body = RequestBody(source)
    body.feed(b"x" * (BODY_BUFFER + 1))
    body.attach(Sink(source, room=BODY_BUFFER))
    assert source.paused


def test_a_failed_body_says_why_and_never_ends() -> None:
    body = RequestBody(Uploading())
    sink = Sink()
    body.attach(sink)
    error = SlowRequest()
    body.fail(error)
    assert body.error is error
    assert not body.complete
    assert sink.ends == 0


def test_what_is_discarded_is_counted_and_read_on() -> None:
    source = Uploading()
    body = RequestBody(source)
    body.feed(b"x" * (BODY_BUFFER + 1))
    body.discard()
    assert not source.paused
    body.feed(b"x" * BODY_BUFFER * 4)
    assert not source.paused
    assert body.received == 5 * BODY_BUFFER + 1
    assert body._parts == []
    body.finish()
    assert body._sink is NOWHERE


class Bodies(RuleBasedStateMachine):
    """A body fed, attached, rewound and attached again in any order, against the bytes that were sent."""

    def __init__(self) -> None:
        super().__init__()
        self.source = Uploading()
        self.body = RequestBody(self.source)
        self.sent = b""
        self.sink: Sink | None = None
        self.copying = False
        self.finished = False

    @precondition(lambda self: not self.finished)
    @rule(size=st.sampled_from([1, 7, 1000, BODY_BUFFER // 2, BODY_BUFFER, BODY_BUFFER + 1]))
    def feed(self, size: int) -> None:
        data = bytes([len(self.sent) % 251]) * size
        self.sent += data
        self.body.feed(data)

    @precondition(lambda self: not self.finished)
    @rule()
    def finish(self) -> None:
        self.finished = True
        self.body.finish()

    @precondition(lambda self: self.sink is None)
    @rule()
    def keep_copy(self) -> None:
        self.body.keep_copy()
        self.copying = True

    @precondition(lambda self: self.sink is None)
    @rule()
    def attach(self) -> None:
        self.sink = Sink()
        self.body.attach(self.sink)

    @rule()
    def rewind(self) -> None:
        could = self.body.rewind()
        if self.sink is None:
            assert could
            return
        assert could == (self.copying and len(self.sent) <= BODY_BUFFER)
        if could:
            self.sink = None
            self.copying = False
        else:
            self.copying = self.copying and len(self.sent) <= BODY_BUFFER

    @invariant()
    def the_taker_has_all_and_the_end_once(self) -> None:
        if self.sink is not None:
            assert self.sink.body == self.sent
            assert self.sink.ends == self.finished
        assert self.body.received == len(self.sent)
        assert self.body.complete == self.finished

    @invariant()
    def memory_is_bounded(self) -> None:
        copy = self.body._copy
        assert copy is None or sum(map(len, copy)) <= BODY_BUFFER
        if self.sink is not None:
            assert self.body._parts == []
        elif self.body._size > BODY_BUFFER and not self.finished:
            assert self.source.paused


TestBodies = Bodies.TestCase


def test_each_is_given_back_whatever_another_raises() -> None:
    """What is taken for an exchange goes back even when giving back something else fails."""
    one = exchange()
    given_back: list[int] = []

    def broken() -> None:
        raise ValueError("a bug")

    one.at_end(lambda: given_back.append(1))
    one.at_end(broken)
    one.at_end(lambda: given_back.append(2))
    with pytest.raises(ValueError, match="a bug"):
        one.end()
    one.end()
    assert given_back == [2, 1]
