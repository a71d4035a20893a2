"""The first tier, and against a plain dict."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway.cache.entry import OVERHEAD, Entry, Values
from gateway.cache.memory_store import MemoryStore
from gateway.rules import vary
from gateway.rules.cache_control import SILENT
from gateway.rules.conditional import Validators
from gateway.rules.freshness import Freshness, Source
from gateway.rules.purge import Kind, Purge, Subject, means, name_of
from gateway.rules.vary import Names
from tests.cache.entries import fields


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


NOTHING = fields()


def response(
    key: bytes = b"key",
    body: bytes = b"",
    *,
    now: float = 1000.0,
    host: bytes = b"a",
    target: bytes = b"/",
    tags: Sequence[bytes] = (),
    nominated: Names = (),
    values: Values = NOTHING,
    lifetime: int = 60,
    grace: int = 0,
    etag: bytes | None = b'"1"',
    validate: bool = False,
) -> Entry:
    """A response that has come `now`."""
    return Entry(
        Subject(key, host, target, frozenset(tags)),
        200,
        b"OK",
        [b"Content-Type", b": ", b"text/plain", b"\r\n"],
        body,
        said=SILENT,
        freshness=Freshness(lifetime, Source.ORIGIN, 0.0, now, validate=validate, stale_while_revalidate=grace),
        validators=Validators(200, etag, None, None, None, int(now)),
        nominated=nominated,
        secondary=vary.secondary(nominated, values),
    )


SIZE = response().size


def test_what_was_put_is_found() -> None:
    store = MemoryStore()
    assert (store.find(b"key", NOTHING), store.variants(b"key"), store.varies(b"key")) == (None, [], ())
    one, two = response(), response(body=b"2")
    store.put(one, NOTHING)
    assert store.find(b"key", NOTHING) is one
    store.put(two, NOTHING)
    assert store.find(b"key", NOTHING) is two
    assert (len(store), store.size, store.variants(b"key"), store.varies(b"key")) == (1, two.size, [two], ())


def test_variants_are_found_by_their_requests() -> None:
    store = MemoryStore()
    german, french = fields(foo="de"), fields(foo="fr")
    plain = response()
    store.put(plain, NOTHING)
    one = response(nominated=(b"foo",), values=german)
    two = response(nominated=(b"foo",), values=french)
    store.put(one, german)
    store.put(two, french)
    assert store.varies(b"key") == (b"foo",)
    assert [store.find(b"key", values) for values in (german, french, NOTHING)] == [one, two, plain]
    assert store.variants(b"key") == [one, two, plain]
    newer = response(b"key", b"newer", nominated=(b"foo",), values=german)
    store.put(newer, german)
    assert store.find(b"key", german) is newer
    assert len(store) == 3
    store.put(response(), NOTHING)
    assert store.varies(b"key") == ()


def test_variants_of_one_key_are_bounded() -> None:
    store = MemoryStore()
    for number in range(vary.MOST_VARIANTS + 10):
        values = fields(foo=str(number))
        store.put(response(nominated=(b"foo",), values=values, tags=[b"t"]), values)
    assert len(store) == len(store.variants(b"key")) == vary.MOST_VARIANTS
    assert store.evictions == 10
    assert store.purge(Purge(Kind.TAG, b"t")) == vary.MOST_VARIANTS
    assert (len(store), store.size) == (0, 0)


def test_another_takes_the_place_of_the_very_one_only() -> None:
    store = MemoryStore()
    one, two = response(), response(body=b"longer")
    assert not store.replace(one, two)
    store.put(one, NOTHING)
    store.find(b"key", NOTHING)
    assert store.replace(one, two)
    assert not store.replace(one, response())
    assert store.find(b"key", NOTHING) is two
    assert (store.size, store.top()[0].hits) == (two.size, 2)
    with pytest.raises(ValueError, match="other requests"):
        store.replace(two, response(b"other"))


def test_what_is_too_large_is_refused_and_what_it_outdates_goes() -> None:
    store = MemoryStore(max_bytes=8 * (OVERHEAD + 1000))
    small, large = response(tags=[b"t"]), response(body=b"x" * 2000)
    store.put(small, NOTHING)
    store.put(large, NOTHING)
    assert (store.find(b"key", NOTHING), store.refused, len(store), store.size) == (None, 1, 0, 0)
    store.put(small, NOTHING)
    assert store.replace(small, large)
    assert (store.find(b"key", NOTHING), store.refused, len(store), store.size) == (None, 2, 0, 0)


def test_a_scan_leaves_what_is_asked_for() -> None:
    store = MemoryStore(entries=100)
    for number in range(80):
        store.put(response(b"%d" % number), NOTHING)
        store.find(b"%d" % number, NOTHING)
    for number in range(2000):
        store.put(response(b"scan %d" % number), NOTHING)
    assert sum(store.find(b"%d" % number, NOTHING) is not None for number in range(80)) >= 75
    assert (len(store), store.evictions) == (100, 1980)


def test_other_bounds_hold_at_once() -> None:
    store = MemoryStore(max_bytes=100 * SIZE)
    store.put(response(b"large", b"x" * 10 * SIZE), NOTHING)
    for number in range(50):
        store.put(response(b"%d" % number), NOTHING)
    store.resize(20, 100 * SIZE)
    assert len(store) == 20
    store.resize(1000, 10 * SIZE)
    assert store.size <= 10 * SIZE
    assert store.find(b"large", NOTHING) is None


def test_what_is_of_no_use_any_more_goes_when_it_is_looked_for() -> None:
    clock = Clock()
    store = MemoryStore(now=clock)
    for key, grace, etag in [(b"hopeless", 0, None), (b"grace", 30, None), (b"validator", 0, b'"1"')]:
        store.put(response(key, grace=grace, etag=etag), NOTHING)
    values = fields(foo="1")
    store.put(response(b"variant", nominated=(b"foo",), values=values, etag=None), values)
    clock.now = 1060.0
    found = [store.find(key, values) is not None for key in (b"hopeless", b"variant", b"grace", b"validator")]
    assert found == [False, False, True, True]
    assert (len(store), store.expired, store.evictions) == (2, 2, 0)
    clock.now = 1090.0
    assert store.find(b"grace", NOTHING) is None
    clock.now = 1e9
    assert store.find(b"validator", NOTHING) is not None


def test_a_soft_purge_makes_stale_and_never_fresh() -> None:
    clock = Clock()
    store = MemoryStore(now=clock)
    store.put(response(b"fresh", lifetime=100), NOTHING)
    store.put(response(b"stale", lifetime=5), NOTHING)
    clock.now = 1010.5
    assert store.purge(Purge(Kind.ALL, soft=True)) == 2
    for key, lifetime in ((b"fresh", 10), (b"stale", 5)):
        found = store.find(key, NOTHING)
        assert found is not None
        assert found.freshness.lifetime == lifetime
        assert found.freshness.left(clock.now) <= 0
        assert found.fresh_until <= clock.now
    clock.now = 1500.0
    store.purge(Purge(Kind.ALL, soft=True))
    assert [entry.freshness.lifetime for entry in store.variants(b"fresh")] == [10]


def test_hot_and_cold() -> None:
    store = MemoryStore(now=Clock())
    for number in range(5):
        store.put(response(b"%d" % number, target=b"/%d?token=secret" % number, now=1000.0 - number), NOTHING)
        for _ in range(number // 2):
            store.find(b"%d" % number, NOTHING)
    assert [(row.target, row.hits) for row in store.top(2)] == [("/4?token", 2), ("/2?token", 1)]
    assert [(row.target, row.age, row.ttl) for row in store.coldest(2)] == [("/1?token", 1, 59), ("/0?token", 0, 60)]
    assert store.purge(Purge(Kind.KEY, store.top(1)[0].name.encode())) == 1
    assert store.find(b"4", NOTHING) is None


# ---- against a plain dict

KEYS = st.sampled_from([b"k1", b"k2", b"k3"])
HOSTS = st.sampled_from([b"a", b"b"])
TARGETS = st.sampled_from([b"/", b"/x", b"/x?y"])
TAGS = st.sampled_from([b"t", b"u"])
NOMINATED: st.SearchStrategy[Names] = st.sampled_from([(), (), (b"foo",), (b"bar",)])
VALUES = st.builds(fields, foo=st.sampled_from("12"), bar=st.sampled_from("12"))
PURGES = st.builds(
    Purge,
    st.just(Kind.KEY),
    KEYS.map(lambda key: name_of(key).encode()),
    st.none() | HOSTS,
    st.booleans(),
) | st.one_of(
    *(
        st.builds(Purge, st.just(kind), values, st.none() | HOSTS, st.booleans())
        for kind, values in [
            (Kind.URL, TARGETS),
            (Kind.TAG, TAGS),
            (Kind.PATTERN, st.sampled_from([b"/x*", b"*y", b"*"])),
            (Kind.ALL, st.just(b"")),
        ]
    )
)
ENTRIES, MAX_BYTES = 10, 8 * (SIZE + 2000)


class Model(RuleBasedStateMachine):
    """What the store has is what a dict would have, or less where it had to make room."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = MemoryStore(ENTRIES, MAX_BYTES, self.clock)
        #: By key, Vary and secondary key: what would be there if there were room for all.
        self.all: dict[tuple[bytes, Names, bytes], Entry] = {}

    def _stored(self) -> dict[tuple[bytes, Names, bytes], Entry]:
        found = {}
        for key in (b"k1", b"k2", b"k3"):
            for entry in self.store.variants(key):
                place = (entry.subject.key, entry.nominated, entry.secondary)
                assert place[0] == key
                assert place not in found
                found[place] = entry
        return found

    @rule(
        key=KEYS, host=HOSTS, path=TARGETS, tags=st.frozensets(TAGS), nominated=NOMINATED, values=VALUES,
        size=st.sampled_from([0, 1000, 5000]), etag=st.sampled_from([None, b'"1"']),
        lifetime=st.sampled_from([0, 10, 60]), grace=st.sampled_from([0, 30]), validate=st.booleans(),
    )  # fmt: skip
    def put(
        self, key: bytes, host: bytes, path: bytes, tags: frozenset[bytes], nominated: Names, values: Values,
        size: int, etag: bytes | None, lifetime: int, grace: int, validate: bool,
    ) -> None:  # fmt: skip
        entry = response(
            key, bytes(size), now=self.clock.now, host=host, target=path, tags=sorted(tags), nominated=nominated,
            values=values, etag=etag, lifetime=lifetime, grace=grace, validate=validate,
        )  # fmt: skip
        refused = self.store.refused
        place = (key, nominated, entry.secondary)
        in_place = place in self._stored()
        self.store.put(entry, values)
        if size == 5000:
            assert self.store.refused == refused + 1
            self.all.pop(place, None)
        else:
            assert self.store.refused == refused
            self.all[place] = entry
            # What has grown in its place may have to go like any other.
            assert self._stored().get(place, entry if in_place else None) is entry

    @rule(key=KEYS, values=VALUES)
    def find(self, key: bytes, values: Values) -> None:
        found = self.store.find(key, values)
        matching = [
            entry
            for (stored, nominated, secondary), entry in self._stored().items()
            if stored == key and secondary == vary.secondary(nominated, values)
        ]
        if found is None:
            assert not matching
            return
        assert found in matching
        assert found.nominated or not any(entry.nominated for entry in matching)
        times = found.freshness
        assert found.validators.etag or times.left(self.clock.now) + times.stale_while_revalidate > 0

    @precondition(lambda self: len(self.store) > 0)
    @rule(data=st.data())
    def replace(self, data: st.DataObject) -> None:
        place, old = data.draw(st.sampled_from(sorted(self._stored().items(), key=lambda item: item[0])))
        new = old.with_freshness(old.freshness._replace(received=self.clock.now))
        assert self.store.replace(old, new)
        assert not self.store.replace(old, new)
        self.all[place] = new

    @rule(purge=PURGES)
    def purge(self, purge: Purge) -> None:
        meant = {
            place: entry
            for place, entry in self._stored().items()
            if means(purge, entry.subject, name_of(entry.subject.key))
        }
        others = {place: entry for place, entry in self._stored().items() if place not in meant}
        assert self.store.purge(purge) == len(meant)
        stored = self._stored()
        assert {place: entry for place, entry in stored.items() if place not in meant} == others
        if not purge.soft:
            assert stored == others
        for place, before in meant.items():
            if purge.soft:
                after = self.all[place] = stored[place]
                assert after.fresh_until <= self.clock.now
                assert after.fresh_until <= before.fresh_until
                assert after.subject is before.subject
                assert after.body is before.body
        for place, entry in list(self.all.items()):
            if not purge.soft and means(purge, entry.subject, name_of(entry.subject.key)):
                del self.all[place]

    @rule(seconds=st.sampled_from([1.0, 9.5, 40.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(entries=st.sampled_from([1, 3, 6]))
    def resize(self, entries: int) -> None:
        self.store.resize(entries, MAX_BYTES)
        assert len(self.store) <= entries
        self.store.resize(ENTRIES, MAX_BYTES)

    @invariant()
    def bounds_hold(self) -> None:
        assert len(self.store) <= ENTRIES
        assert self.store.size <= MAX_BYTES

    @invariant()
    def nothing_is_there_that_was_not_put_or_was_purged(self) -> None:
        stored = self._stored()
        assert len(stored) == len(self.store)
        for place, entry in stored.items():
            assert self.all[place] is entry

    @invariant()
    def no_index_leaks(self) -> None:
        subjects = [entry.subject for entry in self._stored().values()]
        assert len(self.store._names) == len({subject.key for subject in subjects}) == len(self.store._keys)
        assert len(self.store._targets) == len({subject.target for subject in subjects})
        assert len(self.store._tags) == len({tag for subject in subjects for tag in subject.tags})


Model.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestModel = Model.TestCase
