"""Routing against the plainest router there is: every pattern in turn, segment by segment."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import request_target
from gateway.rules.routing import NOWHERE, Found, Pattern, Router

WORDS = ["a", "b", ":x", ":y"]
PATTERNS = st.builds(
    lambda segments, end: "/" + "/".join([*segments, *end]),
    st.lists(st.sampled_from(WORDS), max_size=3),
    st.sampled_from([[], ["**"], [""]]),
)
METHODS = st.one_of(
    st.none(), st.lists(st.sampled_from(["GET", "POST", "HEAD", "PUT"]), min_size=1, max_size=3, unique=True)
)
ROUTES = st.lists(st.tuples(PATTERNS, METHODS), max_size=7)
PATHS = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=4).map(lambda segments: "/" + "/".join(segments))
Routes = Sequence[tuple[str, Sequence[str] | None]]


def matches(pattern: str, path: str) -> bool:
    wanted, have = pattern[1:].split("/"), path[1:].split("/")
    if wanted[-1] == "**":
        wanted = wanted[:-1]
        have = have[: len(wanted)] if len(have) >= len(wanted) else have
    return len(wanted) == len(have) and all(
        bool(part) if word.startswith(":") else part == word for word, part in zip(wanted, have, strict=True)
    )


def first(routes: Routes, path: str, method: str) -> Found:
    allowed: set[str] = set()
    for place, (pattern, methods) in enumerate(routes):
        if matches(pattern, path):
            if methods is None or method in methods or (method == "HEAD" and "GET" in methods):
                return Found(place, ())
            allowed |= set(methods) | ({"HEAD"} if "GET" in methods else set())
    return Found(-1, tuple(sorted(allowed)))


@given(ROUTES, st.lists(st.tuples(PATHS, st.sampled_from(["GET", "HEAD", "POST", "DELETE"])), min_size=1, max_size=8))
def test_the_first_that_fits(routes: Routes, requests: list[tuple[str, str]]) -> None:
    router = Router(routes)
    for path, method in [*requests, *requests]:  # the second time from memory
        assert router.find(path.encode(), method.encode()) == first(routes, path, method), (path, method)


@given(
    ROUTES,
    st.tuples(PATHS, st.sampled_from(["GET", "HEAD", "POST", "DELETE"])),
    st.sets(st.integers(0, 6)),
    st.sets(st.integers(0, 6)),
)
def test_routes_that_depend_on_more_are_there_only_where_that_is_met(
    routes: Routes, request: tuple[str, str], depend: set[int], off: set[int]
) -> None:
    path, method = request
    router = Router(routes, {place for place in depend if place < len(routes)})
    for _ in range(2):
        found = router.find(path.encode(), method.encode())
        if found.choices:
            assert found.place == -1
            assert not depend.isdisjoint(place for place, _ in found.choices)
            found = Router.choose(found.choices, lambda place: place not in depend & off)
        there = [("/never/**", ["PUT"]) if place in depend & off else one for place, one in enumerate(routes)]
        assert found == first(there, path, method)


def test_what_is_not_there_says_nothing_of_its_methods() -> None:
    router = Router([("/a", ["POST"]), ("/a", ["PUT"])], {0})
    choices = router.find(b"/a", b"GET").choices
    assert Router.choose(choices, lambda place: place != 0) == Found(-1, ("PUT",))
    assert Router.choose(choices, lambda _: True) == Found(-1, ("POST", "PUT"))
    assert Router.choose(choices, lambda _: False) is NOWHERE


@given(
    ROUTES,
    st.tuples(PATHS, st.sampled_from(["GET", "HEAD", "POST", "DELETE"])),
    st.sets(st.integers(0, 6)),
    st.sets(st.integers(0, 6)),
)
def test_hidden_ones_are_chosen_as_others_are_and_not_spoken_of(
    routes: Routes, request: tuple[str, str], hidden: set[int], shown: set[int]
) -> None:
    path, method = request
    router = Router(routes, (), hidden)
    for _ in range(2):
        found = router.find(path.encode(), method.encode())
        if found.choices:
            found = Router.choose(found.choices, lambda _: True, lambda place: place not in hidden or place in shown)
        expected = first(routes, path, method)
        if expected.place < 0:
            spoken = [one for place, one in enumerate(routes) if place not in hidden or place in shown]
            expected = first(spoken, path, method)
        assert found == expected


@given(PATTERNS, PATHS)
def test_a_pattern_alone(pattern: str, path: str) -> None:
    assert Pattern.compile(pattern).matches(path.encode()) is matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/", b"/"),
        ("/**", b"/"),
        ("/**", b"*"),  # OPTIONS * is everybody's
        ("/static/**", b"/static"),
        ("/static/**", b"/static/"),
        ("/static/**", b"/static/a/b"),
        ("/users/:id", b"/users/%2F"),
        ("/users/:id/**", b"/users/7"),
        ("/a/", b"/a/"),
        ("/a%2fb", b"/a%2Fb"),
        ("/caf\u00e9", b"/caf\xc3\xa9"),
        ("/%3Aid", b"/:id"),
        ("/%63af%C3%A9", b"/caf\xc3\xa9"),
    ],
)
def test_matching(pattern: str, path: bytes) -> None:
    assert Router([(pattern, None)]).find(path, b"GET").place == 0


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/", b"/a"),
        ("/", b"*"),
        ("/a", b"/a/"),
        ("/a/", b"/a"),
        ("/static/**", b"/statics"),
        ("/static/**", b"/stati"),
        ("/users/:id", b"/users/"),
        ("/users/:id", b"/users"),
        ("/users/:id", b"/users/7/"),
        ("/:a/**", b"/"),
        ("/A", b"/a"),
        ("/%3Aid", b"/7"),
    ],
)
def test_not_matching(pattern: str, path: bytes) -> None:
    assert Router([(pattern, None)]).find(path, b"GET") == NOWHERE


@pytest.mark.parametrize(
    "target", [b"/%61dmin", b"//admin", b"/x/../admin", b"/%2e/admin", b"/./%41dmin/..//%61dmin"]
)
def test_no_spelling_of_a_path_slips_past_its_route(target: bytes) -> None:
    router = Router([("/admin", None), ("/**", None)])
    assert router.find(request_target.read(target).match, b"GET").place == 0


def test_methods_are_a_set_of_words_not_of_prefixes_or_cases() -> None:
    router = Router([("/a", ["GET"])])
    assert router.find(b"/a", b"get") == Found(-1, ("GET", "HEAD"))
    assert router.find(b"/a", b"GE") == Found(-1, ("GET", "HEAD"))
    assert router.find(b"/b", b"GET") == NOWHERE


def test_memory_is_bounded_in_paths_and_in_their_length() -> None:
    router = Router([("/**", None)])
    for number in range(5000):
        router.find(b"/%d" % number, b"GET")
    router.find(b"/" + b"x" * 200, b"GET")
    assert len(router._found) <= 2048
    assert max(len(path) for path, _ in router._found) <= 128
