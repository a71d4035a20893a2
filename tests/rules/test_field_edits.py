"""Edits against a model of each step alone: what is not named stays, set replaces all, defaults only fill."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import field_lines
from gateway.rules.field_edits import LIKE_CGI, PLAIN, Edits, RequestEdits, ResponseEdits
from gateway.rules.request_head import Interest
from tests.support.exchanges import read

Pairs = list[tuple[bytes, bytes]]

NAMES = st.sampled_from([b"X-A", b"x-a", b"X_A", b"X-B", b"x_b", b"Vary", b"vary", b"Cache-Control", b"Server"])
PAIR = st.tuples(NAMES, st.sampled_from([b"", b"1", b"2", b"3"]))
PAIRS = st.lists(PAIR, max_size=8)
SOME = st.lists(PAIR, max_size=3)
TABLES = st.sampled_from([PLAIN, LIKE_CGI])
CHANGES = st.tuples(st.lists(NAMES, max_size=2), SOME, SOME)  # remove, set, add
Changes = tuple[list[bytes], Pairs, Pairs]


def folded(name: bytes, table: bytes) -> bytes:
    return name.lower().replace(b"_", b"-") if table is LIKE_CGI else name.lower()


def step_by_step(pairs: Pairs, changes: Changes, table: bytes) -> Pairs:
    """Remove, then set, then add, one name after the other."""
    remove, replace, add = changes
    gone = {folded(name, table) for name in remove} | {folded(name, table) for name, _ in replace}
    return [pair for pair in pairs if folded(pair[0], table) not in gone] + replace + add


def compiled(changes: Changes, table: bytes) -> Edits:
    remove, replace, add = changes
    return Edits(table, [*remove, *(name for name, _ in replace)], (*replace, *add))


def applied(change: Callable[[list[bytes]], list[bytes]], pairs: Pairs) -> Pairs:
    pieces = field_lines.of(pairs)
    before = list(pieces)
    after = change(pieces)
    assert pieces == before, "the list that came is another's"
    return list(field_lines.pairs(after))


@given(PAIRS, CHANGES, TABLES)
def test_one_pass_does_what_the_steps_do(pairs: Pairs, changes: Changes, table: bytes) -> None:
    assert applied(compiled(changes, table).on, pairs) == step_by_step(pairs, changes, table)


@given(PAIRS, CHANGES, TABLES)
def test_what_is_not_named_stays_in_order_and_case(pairs: Pairs, changes: Changes, table: bytes) -> None:
    edits = compiled(changes, table)
    named = edits.names()
    after = applied(edits.on, pairs)
    assert [p for p in after if folded(p[0], table) not in named] == [
        p for p in pairs if folded(p[0], table) not in named
    ]


@given(PAIRS, PAIR, TABLES)
def test_set_replaces_all_of_the_name(pairs: Pairs, field: tuple[bytes, bytes], table: bytes) -> None:
    after = applied(Edits(table, [field[0]], (field,)).on, pairs)
    assert [p for p in after if folded(p[0], table) == folded(field[0], table)] == [field]


@given(PAIRS, CHANGES, CHANGES, CHANGES, TABLES)
def test_a_route_comes_after_its_listener(
    pairs: Pairs, first: Changes, second: Changes, third: Changes, table: bytes
) -> None:
    one, two, three = (compiled(changes, table) for changes in (first, second, third))
    together = one.then(two).then(three)
    assert applied(together.on, pairs) == applied(three.on, applied(two.on, applied(one.on, pairs)))
    assert applied(one.then(two.then(three)).on, pairs) == applied(together.on, pairs)


@given(PAIRS, CHANGES, st.sets(NAMES))
def test_but_leaves_some_names_alone(pairs: Pairs, changes: Changes, spared: set[bytes]) -> None:
    names = frozenset(name.lower() for name in spared)
    after = applied(compiled(changes, PLAIN).but(names).on, pairs)
    assert [p for p in after if p[0].lower() in names] == [p for p in pairs if p[0].lower() in names]
    full = step_by_step(pairs, changes, PLAIN)
    assert [p for p in after if p[0].lower() not in names] == [p for p in full if p[0].lower() not in names]


def test_edits_of_nothing_are_false() -> None:
    assert not Edits(PLAIN)
    assert Edits(PLAIN, [b"a"])
    assert Edits(PLAIN, (), ((b"a", b"b"),))


# ---- requests: what the listener has read


@given(PAIRS, CHANGES, st.frozensets(st.sampled_from([b"x-a", b"x_a", b"vary"])))
def test_gates_see_what_the_upstream_will(pairs: Pairs, changes: Changes, also: frozenset[bytes]) -> None:
    interest = Interest("X-Correlation-ID", ingress=False, also=also)
    head = read(fields=[(b"Host", b"a.example"), *pairs], interest=interest)
    RequestEdits(compiled(changes, LIKE_CGI)).apply(head)
    expected = step_by_step(pairs, changes, LIKE_CGI)
    assert list(field_lines.pairs(head.kept)) == expected
    for name in {name.lower() for name, _ in [*pairs, *expected]}:
        assert head.values(name) == [value for field, value in expected if field.lower() == name]
    assert head.values(b"host") == [b"a.example"]


# ---- responses: defaults, and the gateway's own refusals


@given(PAIRS, CHANGES, st.lists(PAIR, max_size=4, unique_by=lambda field: field[0].lower()))
def test_defaults_fill_what_is_missing_and_overwrite_nothing(pairs: Pairs, changes: Changes, defaults: Pairs) -> None:
    after = applied(ResponseEdits(compiled(changes, PLAIN), tuple(defaults)), pairs)
    before = step_by_step(pairs, changes, PLAIN)
    missing = [field for field in defaults if field[0].lower() not in {name.lower() for name, _ in before}]
    assert [field for field in after if field not in missing] == [field for field in before if field not in missing]
    assert sorted(after) == sorted(before + missing)


@given(PAIRS, CHANGES, st.lists(PAIR, max_size=3, unique_by=lambda field: field[0].lower()))
def test_our_refusals_keep_what_caches_go_by(pairs: Pairs, changes: Changes, defaults: Pairs) -> None:
    spared = frozenset({b"cache-control"})
    edit = ResponseEdits(compiled(changes, PLAIN), tuple(defaults), spared)
    plain = ResponseEdits(compiled(changes, PLAIN), tuple(defaults))
    assert applied(edit, pairs) == applied(plain, pairs)
    theirs = [*pairs, (b"Proxy-Status", b"cdn; error=connection_timeout")]
    assert applied(edit, theirs) == applied(plain, theirs)
    ours = [*pairs, (b"Cache-Control", b"no-store"), (b"Proxy-Status", b"gateway; error=connection_timeout")]
    sparing = ResponseEdits(compiled(changes, PLAIN).but(spared), tuple(defaults))
    assert applied(edit, ours) == applied(sparing, ours)
    assert (b"Cache-Control", b"no-store") in applied(edit, ours)
