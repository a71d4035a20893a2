"""Targets taken apart: byte for byte where that is safe, resolved as RFC 3986 says where it is not."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.rules import request_target
from gateway.rules.request_target import Target, read, strip_prefix, take_apart, valid_host

DOTS = [b".", b"..", b"%2e", b"%2E", b".%2e", b"%2E.", b"%2e%2E"]
PLAIN = [
    b"a",
    b"B",
    b"%61",
    b"c%2Fd",
    b"c%2fd",
    b"...",
    b".a",
    b"a.",
    b"%25",
    b"%252e",
    b"\xc3\xa9",
    b"%zz",
    b"%",
    b":x",
    b"*",
]
SEGMENTS = st.sampled_from([*DOTS, *PLAIN, b""])
PATHS = st.lists(SEGMENTS, max_size=8).map(lambda segments: b"/" + b"/".join(segments))
PLAIN_PATHS = st.lists(st.sampled_from([*PLAIN, b""]), max_size=8).map(lambda segments: b"/" + b"/".join(segments))
ANY_PATH = st.one_of(
    PATHS, st.binary(max_size=40).map(lambda tail: b"/" + tail.replace(b"#", b"").replace(b"?", b""))
)


def remove_dot_segments(path: bytes) -> bytes:
    """RFC 3986, section 5.2.4, written down as it stands there."""
    out = b""
    while path:
        if path.startswith(b"../"):
            path = path[3:]
        elif path.startswith((b"./", b"/./")):
            path = path[2:]
        elif path == b"/.":
            path = b"/"
        elif path.startswith(b"/../"):
            path, out = path[3:], out[: max(out.rfind(b"/"), 0)]
        elif path == b"/..":
            path, out = b"/", out[: max(out.rfind(b"/"), 0)]
        elif path in (b".", b".."):
            path = b""
        else:
            end = path.find(b"/", 1)
            end = len(path) if end < 0 else end
            out, path = out + path[:end], path[end:]
    return out


def plain_dots(path: bytes) -> bytes:
    """Dot segments without their encodings, and no empty segments."""
    segments = [
        segment.lower().replace(b"%2e", b".") if segment.lower() in [d.lower() for d in DOTS] else segment
        for segment in path.split(b"/")
    ]
    last = segments[-1]
    return b"/" + b"/".join([*(segment for segment in segments[:-1] if segment), last])


@given(PATHS)
@example(b"/a/b/../")
@example(b"/..//../a/.")
def test_dot_segments_are_resolved_as_the_rfc_says(path: bytes) -> None:
    expected = remove_dot_segments(plain_dots(path))
    has_dots = any(segment.lower() in [d.lower() for d in DOTS] for segment in path.split(b"/"))
    assert read(path).forward == (expected if has_dots else path)


@given(PLAIN_PATHS)
def test_without_dot_segments_the_path_passes_byte_for_byte(path: bytes) -> None:
    assert read(path).forward == path


@given(ANY_PATH)
def test_nothing_that_any_server_could_climb_with_is_left(path: bytes) -> None:
    for reading in read(path):
        assert reading.startswith(b"/")
        for segment in reading.split(b"/"):
            assert segment not in (b".", b"..")
    assert not {segment.lower() for segment in read(path).forward.split(b"/")} & {d.lower() for d in DOTS}


@given(ANY_PATH)
def test_the_forwarded_path_means_to_the_next_reader_what_it_means_to_us(path: bytes) -> None:
    once = read(path)
    again = read(once.forward)
    assert again == once


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=5))
def test_every_spelling_of_a_path_matches_alike(segments: list[bytes]) -> None:
    """All of it percent-encoded, in either case, or only what must be."""

    def spelled(form: str) -> bytes:
        return b"/" + b"/".join(b"".join(form.encode() % byte for byte in segment) for segment in segments)

    lower, upper = read(spelled("%%%02x")), read(spelled("%%%02X"))
    assert lower.match == upper.match
    doubled = b"//" + spelled("%%%02X")[1:].replace(b"/", b"///")
    assert read(doubled).match == upper.match


def test_an_encoded_slash_never_separates() -> None:
    assert read(b"/a%2fb").match == read(b"/a%2Fb").match == b"/a%2Fb"
    assert read(b"/a%2fb/..").match == b"/"
    assert read(b"/a%2f../b").match == b"/a%2F../b"


def test_encodings_are_undone_once() -> None:
    assert read(b"/%2561").match == b"/%61"
    assert read(b"/%252e%252e/a").match == b"/%2e%2e/a"


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        (b"GET", b"/", Target(b"/", b"/", b"", None)),
        (b"GET", b"/a?", Target(b"/a", b"/a", b"?", None)),
        (b"GET", b"/a?b=/../c?d", Target(b"/a", b"/a", b"?b=/../c?d", None)),
        (b"GET", b"//evil.example/a", Target(b"//evil.example/a", b"/evil.example/a", b"", None)),
        (b"GET", b"http://a.example/b?c", Target(b"/b", b"/b", b"?c", b"a.example")),
        (b"GET", b"HTTPS://a.example:8443", Target(b"/", b"/", b"", b"a.example:8443")),
        (b"GET", b"http://a.example?b/c", Target(b"/", b"/", b"?b/c", b"a.example")),
        (b"GET", b"http://[::1]:80/", Target(b"/", b"/", b"", b"[::1]:80")),
        (b"OPTIONS", b"*", Target(b"*", b"*", b"", None)),
        (b"CONNECT", b"a.example:443", Target(b"", b"", b"", b"a.example:443")),
        (b"GET", b"*", None),
        (b"GET", b"a.example:443", None),
        (b"GET", b"", None),
        (b"GET", b"?a", None),
        (b"GET", b"a", None),
        (b"GET", b"ftp://a.example/", None),
        (b"GET", b"http:/a", None),
        (b"GET", b"http:///a", None),
        (b"GET", b"http://?a", None),
        (b"GET", b"http://user@a.example/", None),
        (b"GET", b"http://a,b/", None),
        (b"GET", b"http://a b/", None),
        (b"GET", b"/a#b", None),
        (b"GET", b"/?#", None),
        (b"GET", b"http://a.example/#b", None),
    ],
)
def test_the_forms(method: bytes, target: bytes, expected: Target | None) -> None:
    assert take_apart(method, target) == expected
    assert take_apart(method, target) == expected  # remembered


@given(ANY_PATH, st.binary(max_size=20).map(lambda query: query.replace(b"#", b"")))
def test_origin_and_absolute_form_mean_the_same(path: bytes, query: bytes) -> None:
    origin = take_apart(b"GET", path + b"?" + query)
    absolute = take_apart(b"GET", b"http://a.example" + path + b"?" + query)
    assert origin is not None
    assert absolute == origin._replace(authority=b"a.example")
    assert origin.query == b"?" + query


@given(ANY_PATH)
def test_a_long_target_reads_as_a_short_one(path: bytes) -> None:
    """Only short ones are remembered."""
    tail = b"/" + b"x" * 200
    target = take_apart(b"GET", path.rstrip(b"/") + tail)
    assert target is not None
    assert (target.path, target.match_path) == tuple(read(path.rstrip(b"/") + tail))


def test_what_is_remembered_is_bounded() -> None:
    for number in range(5000):
        take_apart(b"GET", b"/%d" % number)
    assert request_target._remembered.cache_info().currsize <= 2048


@pytest.mark.parametrize("host", [b"", b"a", b"a.example:80", b"[::1]", b"[fe80::1%25eth0]:8080", b"a_b", b"%41"])
def test_hosts(host: bytes) -> None:
    assert valid_host(host)


@pytest.mark.parametrize(
    "host", [b"a b", b"a,b", b"a/b", b"user@a", b"a?", b"a#", b"a\\b", b"\xc3\xa9", b"a\x00", b'"a"']
)
def test_not_hosts(host: bytes) -> None:
    assert not valid_host(host)


@given(PATHS)
def test_a_prefix_spelled_as_written_comes_off_byte_for_byte(rest: bytes) -> None:
    assert strip_prefix(b"/api/v1" + rest, b"/api/v1") == rest
    assert strip_prefix(b"/api/v1", b"/api/v1") == b"/"


@given(PLAIN_PATHS, st.booleans(), st.booleans())
def test_a_prefix_spelled_otherwise_comes_off_too(rest: bytes, doubled: bool, encoded: bool) -> None:
    prefix = b"/%61pi/v1" if encoded else b"/api/v1"
    path = b"/" + prefix.replace(b"/", b"//") + rest if doubled else prefix + rest
    assert read(strip_prefix(read(path).forward, b"/api/v1")).match == read(rest).match


def test_a_prefix_is_of_whole_segments() -> None:
    assert strip_prefix(b"/apis/x", b"/api") != b"/s/x"
