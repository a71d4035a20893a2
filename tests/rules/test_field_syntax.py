"""Names and values of fields: what RFC 9110 allows, and no way to begin another line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import field_syntax
from tests.support.message import parse_request


@pytest.mark.parametrize("text", ["X-A", "x_b", "ETag", "!#$%&'*+-.^_`|~9", "a" * 100])
def test_names(text: str) -> None:
    assert field_syntax.name(text) == text


@pytest.mark.parametrize("text", ["", "X A", "X:", "X-Ä", "X\n", "X\r\nY: z", "(x)", "a" * 101])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="not the name of a header field"):
        field_syntax.name(text)


@pytest.mark.parametrize(
    ("text", "value"), [("", b""), (" \t a\tb \t", b"a\tb"), ("ü", b"\xc3\xbc"), ("a" * 8192, b"a" * 8192)]
)
def test_values(text: str, value: bytes) -> None:
    assert field_syntax.value(text) == value


@pytest.mark.parametrize(
    "text", ["secret\n", "\r\nsecret", "se\x00cret", "\x7fsecret", "secret" * 2000, "\ud800secret"]
)
def test_what_is_no_value_is_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"value|text") as raised:
        field_syntax.value(text)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None or raised.value.__suppress_context__


@given(st.text(), st.text())
def test_whatever_passes_is_one_field(name: str, value: str) -> None:
    try:
        line = field_syntax.name(name).encode() + b": " + field_syntax.value(value)
    except ValueError:
        return
    parsed = parse_request(b"GET / HTTP/1.1\r\n" + line + b"\r\n\r\n")
    assert parsed.headers == [(name.encode(), field_syntax.value(value))]
