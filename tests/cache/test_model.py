"""A route's cache against a plain reference: whoever asks whatever whenever, nobody gets what is not for him.

The cache is the real one, from the look-up to the upstream connection, with a clock that the test moves. The origin
numbers its contents, so that each answer tells where it is from. What the origin was not asked for must be allowed by
the reference; and what plainly may be kept must be kept, so that a cache that keeps nothing fails too.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cache import alone, boarding, fetch, memory_store, shelf
from gateway.cache.asked import FIELDS, Reading
from gateway.cache.commons import ERROR, Commons
from gateway.cache.landing import Terms
from gateway.cache.memory_store import MemoryStore
from gateway.cache.shelf import Shelf
from gateway.policies.cache import Cache
from gateway.rules.purge import Kind, Purge, PurgeLog
from gateway.rules.request_head import Interest
from gateway.telemetry.cache import CacheMetrics, RouteCounts
from gateway.upstreams.forward import Way
from tests.cache.reference import Ask, Grant, Purged, Reference, Route, Said
from tests.support.exchanges import Taker, exchange
from tests.support.message import Request, Response, parse_response
from tests.support.origin import Origin, ok
from tests.upstreams.rig import rigged

START = 1_800_000_000.0
NUMBER = re.compile(rb"content (\d{6})..\Z")


def content(number: int) -> bytes:
    return b"content %06d.." % number


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    for module in (alone, fetch, memory_store, shelf):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(boarding, "monotonic", clock)
    return clock


class Play:
    """One route's cache, its origin, and the reference beside it."""

    def __init__(self, route: Route, script: list[Said | None], clock: Clock, seen: Counter[str]) -> None:
        self.reference = Reference(route)
        self.clock = clock
        self.seen = seen
        self.step = 0
        self._script = script
        self._failed_at = 0.0
        self._open = asyncio.Event()
        self._open.set()
        self._asks: list[Ask] = []
        self._purges: list[Purged] = []
        self._numbers = 0
        self._bugs: list[object] = []
        #: What a plain GET must be answered with, and until when.
        self._kept: dict[str, tuple[int, float]] = {}
        self._configured = Cache.model_validate(route.settings())

    def build(self, way: Way) -> None:
        """Make the cache."""
        said = self._configured
        reading = Reading(said.cache_key(b"route"), said.sharing(), frozenset(), said.body, said.credentials)
        terms = Terms(said.sharing(), said.leeway(), True, "route")
        store, told = MemoryStore(now=self.clock), CacheMetrics().memory
        self.commons = Commons(store, PurgeLog(), 1 << 24, lambda _, error: self._bugs.append(error), told)
        self.shelf = Shelf(reading, terms, way, [], self.commons, RouteCounts("ingress", "route"), coalesces=True)
        self.interest = Interest("X-Correlation-ID", ingress=True, also=FIELDS | self._configured.fields_read)

    # ---- the origin

    async def answer(self, request: Request) -> bytes | None:
        """What the origin says: the next of the script, with a content of its own or a 304."""
        owner = int(request.value("x-who") or b"")
        ask = self._asks[owner]
        before = len(self._purges)
        await self._open.wait()
        number = self._numbers = self._numbers + 1
        said = self._script[number % len(self._script)]
        if said is None or said.status >= 500:
            self._failed_at = self.clock.now
        if said is None:
            return None
        lines = [
            line.encode()
            for line, there in [
                (f"Cache-Control: {said.control}", said.control),
                (f"Vary: {said.vary}", said.vary),
                (f"Age: {said.age}", said.age),
                (f"Cache-Tag: {said.tag}", said.tag),
                (f"Set-Cookie: session={number}", said.set_cookie),
            ]
            if there
        ]
        for known in re.findall(rb'"(\d+)"', request.value("if-none-match") or b""):
            again = self.reference.renewal(int(known), ask.target, said)
            if again is not None and said.etag:
                self._grant(int(known), ask, again, owner, before)
                self.seen["renewed"] += 1
                lines.append(b'ETag: "%b"' % known)
                return b"\r\n".join([b"HTTP/1.1 304 Not Modified", *lines, b"", b""])
        if said.etag:
            lines.append(b'ETag: "%d"' % number)
        self._grant(number, ask, said, owner, before)
        body, status = content(number), b"%d Said" % said.status
        if request.method == b"HEAD":
            lines.append(b"Content-Length: %d" % len(body))
            return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", b""])
        if request.value("range") == PART and said.status == 200:
            lines.append(b"Content-Range: bytes 0-3/%d" % len(body))
            return ok(body[:4], *lines, status=b"206 Partial Content")
        return ok(body, *lines, status=status)

    def _grant(self, number: int, ask: Ask, said: Said, owner: int, before: int) -> None:
        grant = Grant(number, ask, said, self.clock.now, self.step, owner)
        for purge in self._purges[before:]:
            grant.purge(purge, self.step)
        self.reference.grants.append(grant)

    # ---- clients

    async def ask(self, asks: list[Ask], purge: Purged | None = None) -> None:
        """Have all ask at the same time; the origin answers when all have asked and a purge has come between."""
        self.step += 1
        asked = self._numbers
        first = len(self._asks)
        self._asks += asks
        if len(asks) > 1:
            self._open.clear()
        tasks = [asyncio.create_task(self._answered(first + place, ask)) for place, ask in enumerate(asks)]
        if len(asks) > 1:
            await asyncio.sleep(0.002)
            if purge is not None:
                self.purge(purge)
            self._open.set()
        answers = await asyncio.gather(*tasks)
        while self.commons.flying():
            await asyncio.sleep(0.0005)
        assert not self._bugs, self._bugs
        for place, (ask, response) in enumerate(zip(asks, answers, strict=True)):
            self._judge(first + place, ask, response)
        if len(asks) > 1:
            self._kept.clear()
        else:
            self._expect(asks[0], answers[0], asked=self._numbers > asked)

    async def _answered(self, who: int, ask: Ask) -> Response | None:
        fields = [(name.encode(), value.encode()) for name, value in (*ask.fields, ("X-Who", str(who)))]
        if ask.method not in ("GET", "HEAD"):
            fields.append((b"Content-Length", b"%d" % len(ask.body)))
        taker = Taker()
        one = exchange(ask.method.encode(), ask.target.encode(), fields, interest=self.interest, client=taker)
        one.proto = b"http"
        if ask.body:
            one.body.feed(ask.body)
            one.body.finish()
        try:
            error = None if self.shelf.answer(one) else await self.shelf.serve(one)
        finally:
            one.end()
        if error is not None or not taker.written:
            return None
        head, mark, body = bytes(taker.written).partition(b"\r\n\r\n")
        response = parse_response(head + mark)
        response.body = body
        return response

    def purge(self, purge: Purged) -> None:
        """Purge both."""
        kind, value = Kind.ALL, ""
        if purge.target is not None:
            kind, value = Kind.URL, purge.target
        elif purge.tag is not None:
            kind, value = Kind.TAG, purge.tag
        self.commons.purge(Purge(kind, value.encode(), soft=purge.soft))
        self.reference.purge(purge, self.step)
        self._purges.append(purge)
        self._kept.clear()

    # ---- the judgement

    def _judge(self, who: int, ask: Ask, response: Response | None) -> None:
        """Nobody gets what the reference does not let him have."""
        if response is None:
            self.seen["error"] += 1
            return
        told = (response.value("cache-status") or b"").decode()
        self.seen.update(word for word in ("hit", "collapsed", "fwd=stale", "fwd=vary-miss", "ttl=-") if word in told)
        self.seen[str(response.status)] += 1
        assert not response.values("cache-tag")
        number = self._number(ask, response)
        if number is None:
            return
        grants = [grant for grant in self.reference.grants if grant.number == number]
        if any(grant.owner == who for grant in grants):
            return  # the origin has said it to this very request
        failed = self.clock.now - self._failed_at < ERROR  # for so long nobody need try again
        allowed = self.reference.may(number, ask, self.clock.now, self.step, failed=failed)
        assert allowed, f"{ask} was answered with {number} ({told}), of which the origin had said {grants}"
        assert not response.values("set-cookie")
        self.seen["shared"] += 1

    @staticmethod
    def _number(ask: Ask, response: Response) -> int | None:
        """Which content it is, as far as it can be told."""
        tag = re.fullmatch(rb'"(\d+)"', response.value("etag") or b"")
        if ask.method == "HEAD" or response.status in (304, 416):
            assert not response.body
        elif response.status == 206:
            assert response.body == content(0)[:4]
            assert response.value("content-range") == b"bytes 0-3/%d" % len(content(0))
        else:
            found = NUMBER.match(response.body)
            assert found is not None, response.body
            return int(found[1])
        return None if tag is None else int(tag[1])

    def _expect(self, ask: Ask, response: Response | None, *, asked: bool) -> None:
        """What plainly may be kept is kept; what an unsafe method has changed is not."""
        kept = self._kept.get(ask.target)
        if ask.plain and kept is not None and self.clock.now < kept[1]:
            assert not asked, f"{ask} went to the origin, and {kept[0]} is fresh"
            assert response is not None
            assert response.body == content(kept[0])
            self.seen["kept"] += 1
        if not asked:
            return
        self._kept.pop(ask.target, None)
        safe = ("GET", "HEAD", "POST") if self.reference.route.post else ("GET", "HEAD")
        if response is not None and ask.method not in safe and response.status < 400:
            self.reference.purge(Purged(ask.target), self.step)
        if response is None or not ask.plain or "fwd=uri-miss; stored" not in str(response.value("cache-status")):
            return
        said = self.reference.grants[-1].said
        if said.plain:
            self._kept[ask.target] = (self.reference.grants[-1].number, self.clock.now + 60)


# ---- what is tried

TICK = 0.5  # seconds from step to step
TARGETS = ("/a", "/b")
PART = b"bytes=0-3"
WHO = st.sampled_from(
    [(), (), (("Authorization", "alice"),), (("Authorization", "bob"),), (("Cookie", "s=1"),), (("Cookie", "s=2"),)]
)
LANGUAGE = st.sampled_from([(), (), (("Accept-Language", "de"),), (("Accept-Language", "en"),)])
WANTED = st.sampled_from(
    [
        (),
        (),
        (),
        (),
        *(
            (("Cache-Control", one),)
            for one in ("no-cache", "max-age=0", "no-store", "max-stale=30", "only-if-cached")
        ),
    ]
)
EXTRA = st.sampled_from(
    [(), (), (), (), (("Range", PART.decode()),), (("If-None-Match", '"1"'),), (("If-None-Match", '"2", "3"'),)]
)
FIELDS_DRAWN = st.one_of(st.just(()), st.tuples(WHO, LANGUAGE, WANTED, EXTRA).map(lambda all_: sum(all_, ())))
TARGET = st.sampled_from(["/a", "/a", "/a", "/b"])
PLAIN = st.builds(Ask, target=TARGET)
READ = st.builds(Ask, st.sampled_from(["GET", "GET", "GET", "HEAD"]), TARGET, st.just(b""), FIELDS_DRAWN)
WRITE = st.builds(Ask, st.sampled_from(["PUT", "DELETE", "POST"]), TARGET, st.just(b""), FIELDS_DRAWN)
POST = st.builds(Ask, st.just("POST"), TARGET, st.sampled_from([b"one", b"two"]), FIELDS_DRAWN)
CONTROL = st.sampled_from(
    [
        *("", "", "max-age=60", "max-age=60", "max-age=60", "public, max-age=60", "s-maxage=60", "public", "private"),
        *("no-store", "no-cache", "max-age=0", "max-age=5", "max-age=60, must-revalidate", "private, max-age=60"),
        "max-age=5, stale-while-revalidate=30",
    ]
)
SAID = st.builds(
    Said,
    st.sampled_from([200, 200, 200, 200, 200, 404, 500]),
    CONTROL,
    st.sampled_from(["", "", "", "Accept-Language", "Accept-Language, Cookie", "*"]),
    st.sampled_from([0, 0, 0, 4, 70]),
    st.sampled_from(["", "t"]),
    st.sampled_from([False, False, False, False, True]),
    st.booleans(),
)
KEEPS = st.builds(Said, control=st.just("max-age=60"), etag=st.booleans())
SCRIPT = st.lists(st.one_of(*[SAID] * 8, *[KEEPS] * 4, st.none()), min_size=1, max_size=6)
PURGE = st.builds(Purged, st.sampled_from([None, *TARGETS]), st.sampled_from([None, "t"]), st.booleans()).filter(
    lambda one: one.target is None or one.tag is None
)
WAIT = st.sampled_from([1.0, 4.0, 10.0, 30.0, 61.0, 400.0])
ROUTE = st.builds(
    Route,
    st.sampled_from([None, 60]),
    st.sampled_from([0, 20]),
    st.sampled_from([0, 100]),
    st.booleans(),
    st.sampled_from([False, False, True]),
    st.booleans(),
)
TOGETHER = st.lists(st.one_of(READ, PLAIN), min_size=2, max_size=4)
READS = st.one_of(TOGETHER, TOGETHER.map(lambda asks: [replace(ask, target="/a", method="GET") for ask in asks]))
STEP = st.one_of(
    *[PLAIN, PLAIN, READ, READ, READS, READS, READS, POST, WRITE, WAIT, PURGE],
    st.lists(POST, min_size=2, max_size=3),
    st.tuples(READS, PURGE),
)


async def play(route: Route, script: list[Said | None], steps: list[Any], clock: Clock, seen: Counter[str]) -> None:
    """One history."""
    stage = Play(route, script, clock, seen)
    async with Origin() as origin:
        origin.answer = stage.answer
        async with rigged(origin.address) as rig:
            stage.build(rig.way)
            for step in steps:
                clock.now += TICK
                if isinstance(step, float):
                    clock.now += step
                elif isinstance(step, Purged):
                    stage.purge(step)
                elif isinstance(step, tuple):
                    await stage.ask(*step)
                else:
                    await stage.ask(step if isinstance(step, list) else [step])
            await stage.commons.close()
        assert not origin.violations


def try_out(clock: Clock, history: st.SearchStrategy[Any], examples: int) -> Counter[str]:
    """Play so many histories; what was seen in them."""
    seen: Counter[str] = Counter()

    @settings(max_examples=examples)
    @given(history)
    def run(drawn: tuple[Route, list[Said | None], list[Any]]) -> None:
        asyncio.run(play(*drawn, clock, seen))

    run()
    return seen


def test_nobody_gets_what_is_not_for_him(clock: Clock) -> None:
    seen = try_out(clock, st.tuples(ROUTE, SCRIPT, st.lists(STEP, min_size=4, max_size=16)), 100)
    much = {"shared": 50, "hit": 50, "collapsed": 20, "renewed": 5, "fwd=stale": 5, "206": 5, "ttl=-": 3, "kept": 1}
    assert all(seen[word] >= least for word, least in much.items()), f"this has tried too little: {seen}"


def test_no_caller_gets_what_is_anothers(clock: Clock) -> None:
    """The same with few resources and many callers, on routes that say nothing of sharing."""
    route = st.builds(Route, ttl=st.sampled_from([None, 60]))
    control = st.sampled_from(
        ["", "max-age=60", "public", "public, max-age=60", "s-maxage=60", "private, max-age=60"]
    )
    script = st.lists(st.builds(Said, control=control, etag=st.booleans()), min_size=1, max_size=4)
    who = st.sampled_from([(), (("Authorization", "alice"),), (("Authorization", "bob"),), (("Cookie", "s=1"),)])
    ask = st.builds(Ask, fields=who)
    step = st.one_of(ask, ask, st.lists(ask, min_size=2, max_size=4), st.sampled_from([30.0, 61.0]))
    seen = try_out(clock, st.tuples(route, script, st.lists(step, min_size=4, max_size=12)), 60)
    assert seen["shared"] > 50, f"this has tried too little: {seen}"
