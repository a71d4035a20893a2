"""A claim is read from what any library would issue, and nothing that a client sends does more than find none."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules import jwt_claim


def encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def bearer(claims: Any, scheme: bytes = b"Bearer") -> bytes:
    raw = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return b"%b %b.%b.%b" % (scheme, encoded(b'{"alg":"RS256"}'), encoded(raw), encoded(b"signature"))


@given(st.text(min_size=1, max_size=60).filter(lambda text: text.isprintable()))
def test_a_string_is_found_whatever_is_in_it(subject: str) -> None:
    assert jwt_claim.claim([bearer({"sub": subject, "exp": 1})], "sub") == subject.encode()


@pytest.mark.parametrize(
    ("claims", "found"),
    [
        ({"sub": "u1"}, b"u1"),
        ({"sub": 42}, b"42"),
        ({"sub": 1.5}, b"1.5"),
        ({"sub": ""}, None),
        ({"sub": None}, None),
        ({"sub": True}, None),
        ({"sub": ["u1"]}, None),
        ({"sub": {"id": "u1"}}, None),
        ({"other": "u1"}, None),
        (["sub"], None),
        ("sub", None),
        (b'{"sub": NaN}', None),
        (b'{"sub": 1e999}', None),
        (b'{"sub": "\\ud800"}', None),
        (b"\xff\xfe{}", None),
        (b"[" * 3000, None),
        (b'{"sub":' + b"9" * 5000 + b"}", None),
        (b"", None),
    ],
)
def test_what_is_a_claim(claims: Any, found: bytes | None) -> None:
    assert jwt_claim.claim([bearer(claims)], "sub") == found


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [b""],
        [b"Bearer"],
        [b"Bearer  "],
        [b"Basic dTpw"],
        [bearer({"sub": "u1"}, b"Token")],
        [bearer({"sub": "u1"}), bearer({"sub": "u2"})],
        [b"Bearer opaque"],
        [b"Bearer a.b"],
        [b"Bearer a.!!!!.c"],
        [b"Bearer a.eyJzdWIi+iJ1MSJ9.c"],
        [b"Bearer a.%b.c.d.e" % encoded(b'{"sub":"u1"}')],
        [bearer({"sub": "u1", "padding": "x" * jwt_claim.LONGEST})],
    ],
)
def test_what_is_no_token(fields: list[bytes]) -> None:
    assert jwt_claim.claim(fields, "sub") is None


def test_the_schemes_name_has_no_case() -> None:
    assert jwt_claim.claim([bearer({"sub": "u1"}, b"bEARER")], "sub") == b"u1"


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_nothing_is_raised(payload: bytes, rest: bytes) -> None:
    jwt_claim.claim([bearer(payload)], "sub")
    jwt_claim.claim([b"Bearer " + rest], "sub")
