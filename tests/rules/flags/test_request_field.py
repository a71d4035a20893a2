"""What of a request a flag is about, by its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags import request_field
from gateway.rules.request_head import Interest
from tests.support.exchanges import read

HOST = (b"Host", b"a.example")
# {"sub": "u1", "level": 7}
JWT = b"Bearer e30.eyJzdWIiOiAidTEiLCAibGV2ZWwiOiA3fQ.x"


def found(name: str, target: bytes = b"/", *fields: tuple[bytes, bytes]) -> str | None:
    """Read by fields that are noted, and by those that are passed on alone: there must be no difference."""
    noting = Interest("X-Correlation-ID", ingress=True, also=request_field.fields([name]))
    reader, quick = request_field.reader(name), request_field.reader(name, noted=True)
    assert reader is not None
    assert quick is not None
    one = reader(read(target=target, fields=[HOST, *fields]))
    noted = read(target=target, fields=[HOST, *fields], interest=noting)
    assert reader(noted) == quick(noted) == one
    return one


@pytest.mark.parametrize(
    ("name", "target", "fields", "expected"),
    [
        ("header:X-Plan", b"/", [], None),
        ("header:x-plan", b"/", [(b"X-PLAN", b" pro ")], "pro"),
        ("header:X-Plan", b"/", [(b"X-Plan", b"a"), (b"x-plan", b"b")], "a,b"),
        ("header:X-Plan", b"/", [(b"X-Plan", b"")], None),
        ("header:X-Plan", b"/", [(b"X-Plan", b"caf\xc3\xa9")], "café"),
        ("header:X-Plan", b"/", [(b"X-Plan", b"\xff")], "\ufffd"),
        ("header:X-Plan", b"/", [(b"X_Plan", b"pro")], None),
        ("cookie:sid", b"/", [(b"Cookie", b"a=b; sid=7; sid=8")], "7"),
        ("cookie:sid", b"/", [(b"Cookie", b"SID=7")], None),
        ("query:a", b"/?b=1&a=2&a=3", [], "2"),
        ("query:a", b"/?%61=x%20y+z", [], "x y z"),
        ("query:a b", b"/?a+b=1", [], "1"),
        ("query:a", b"/?a", [], ""),
        ("query:a", b"/?ab=1", [], None),
        ("query:a", b"/?a=%ff%zz", [], "\ufffd%zz"),
        ("path", b"/x/../caf%C3%A9?a=b", [], "/café"),
        ("jwt:sub", b"/", [(b"Authorization", JWT)], "u1"),
        ("jwt:level", b"/", [(b"Authorization", JWT)], "7"),
        ("jwt:none", b"/", [(b"Authorization", JWT)], None),
        ("jwt:sub", b"/", [], None),
    ],
)
def test_what_is_read(name: str, target: bytes, fields: list[tuple[bytes, bytes]], expected: str | None) -> None:
    assert found(name, target, *fields) == expected


@pytest.mark.parametrize("name", ["", "header:", "header:a b", "cookie:a=b;", "plan", "user", "path:x", "Header:X-A"])
def test_what_is_not_there(name: str) -> None:
    assert not request_field.known(name)
    assert request_field.fields([name]) == frozenset()


def test_the_fields_that_a_listener_has_to_note() -> None:
    names = ["header:X-Plan", "cookie:sid", "query:a", "path", "jwt:sub"]
    assert request_field.fields(names) == {b"x-plan", b"cookie", b"authorization"}


@given(st.binary(max_size=40))
def test_whatever_a_client_sends_is_text(raw: bytes) -> None:
    """Without lone surrogates, of which the hash could make nothing."""
    target = b"/?a=" + bytes(one for one in raw if 0x20 < one < 0x7F and one not in b"#&")
    value = bytes(one for one in raw if one >= 0x20 and one != 0x7F)
    for text in (found("query:a", target), found("header:X-Plan", b"/", (b"X-Plan", value))):
        assert text is None or text.encode("utf-8").decode() == text


@pytest.mark.parametrize(
    ("text", "expected"), [(None, set()), ("", set()), (" a, b ,,a", {"a", "b"}), ("beta testers", {"beta testers"})]
)
def test_a_list(text: str | None, expected: set[str]) -> None:
    assert request_field.listed(text) == expected
