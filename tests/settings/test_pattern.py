"""Route patterns: which are well-formed, what a prefix may be, and which pattern takes all of another's paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import request_target
from gateway.rules.routing import Pattern
from gateway.settings.pattern import begins_with, covers, parse_pattern, parse_prefix

WELL_FORMED = [
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/users/:id",
    "/users/:id/posts/:post_id",
    "/static/**",
    "/:any/**",
    "/**",
    "/a%20b",
    "/~x",
    "/a:b",
    "/...",
]


@pytest.mark.parametrize("text", WELL_FORMED)
def test_well_formed(text: str) -> None:
    assert parse_pattern(text) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a", "does not begin with a slash"),
        ("", "does not begin with a slash"),
        ("http://x/a", "does not begin with a slash"),
        ("/a/**/b", "can only be the last"),
        ("/a/*", "use :name for one segment"),
        ("/a**", "use :name for one segment"),
        ("/a/***", "use :name for one segment"),
        ("/a//b", "empty segment"),
        ("//", "empty segment"),
        ("/a/../b", "dot segment"),
        ("/a/.", "dot segment"),
        ("/%2E%2e/b", "dot segment"),
        ("/:", "a parameter without a proper name"),
        ("/:1", "a parameter without a proper name"),
        ("/:a-b", "a parameter without a proper name"),
        ("/{id}", "is written :id"),
        ("/a?b=1", "no \\? or #"),
        ("/a#b", "no \\? or #"),
        ("/ä", "write it as %XX"),
        ("/a b", "write it as %XX"),
        ("/%zz", "write it as %XX"),
        ("/a\n", "write it as %XX"),
        ("/" + "a" * 1000, "at most 1000"),
    ],
)
def test_malformed(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        parse_pattern(text)


@pytest.mark.parametrize("text", ["/openai", "/a/b", "/a%20b"])
def test_prefixes(text: str) -> None:
    assert parse_prefix(text) == text


@pytest.mark.parametrize("text", ["/", "/a/", "openai", "/:id", "/a/**", "/**", "/a//b", ""])
def test_what_is_no_prefix(text: str) -> None:
    with pytest.raises(ValueError, match=r"prefix|slash|segment"):
        parse_prefix(text)


@pytest.mark.parametrize(
    ("pattern", "prefix", "begins"),
    [
        ("/a/**", "/a", True),
        ("/a", "/a", True),
        ("/a/b/:c", "/a/b", True),
        ("/ab/**", "/a", False),
        ("/**", "/a", False),
        ("/:x/b", "/a", False),
    ],
)
def test_begins_with(pattern: str, prefix: str, begins: bool) -> None:
    assert begins_with(pattern, prefix) is begins


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/**", "/"),
        ("/**", "/**"),
        ("/**", "/:a/b"),
        ("/a/**", "/a"),
        ("/a/**", "/a/"),
        ("/a/**", "/a/b/**"),
        ("/:x", "/a"),
        ("/:x", "/:y"),
        ("/:x/**", "/a/**"),
        ("/a", "/%61"),
    ],
)
def test_covers(first: str, second: str) -> None:
    assert covers(Pattern.compile(first), Pattern.compile(second))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/a", "/**"),
        ("/a/**", "/**"),
        ("/a/**", "/ab"),
        ("/a", "/:x"),
        ("/:x", "/"),
        ("/:x", "/a/"),
        ("/:x", "/a/**"),
        ("/:x/**", "/"),
        ("/a", "/a/"),
    ],
)
def test_does_not_cover(first: str, second: str) -> None:
    assert not covers(Pattern.compile(first), Pattern.compile(second))


SEGMENTS = st.sampled_from(["a", "b", "%61", "c%2Fd", ""])
PATTERNS = st.builds(
    lambda segments, end: "/" + "/".join([*segments, end]),
    st.lists(st.sampled_from(["a", "b", ":x"]), max_size=3),
    st.sampled_from(["a", ":x", "**", ""]),
)


@given(PATTERNS, PATTERNS, st.lists(SEGMENTS, max_size=5))
def test_what_is_covered_is_matched_by_the_first(first: str, second: str, segments: list[str]) -> None:
    """Against the router's own matching: a path that the second matches, the covering first matches too."""
    path = request_target.read(("/" + "/".join(segments)).encode()).match
    one, other = Pattern.compile(first), Pattern.compile(second)
    if covers(one, other) and other.matches(path):
        assert one.matches(path)


@given(PATTERNS, PATTERNS)
def test_what_is_not_covered_has_a_path_of_its_own(first: str, second: str) -> None:
    """Some path of the second is none of the first's: one that takes words of its own for every freedom."""
    if covers(Pattern.compile(first), Pattern.compile(second)):
        return
    own = [
        path.replace(":x", "own")
        for path in (
            [second]
            if not second.endswith("**")
            else [second[:-3] or "/", second[:-2] + "own", second[:-2] + "own/own/own/own/own"]
        )
    ]
    assert any(not Pattern.compile(first).matches(path.encode()) for path in own)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    message = ""
    try:
        Pattern.compile(parse_pattern(text))
    except ValueError as error:
        message = str(error)
    assert message.isprintable()
