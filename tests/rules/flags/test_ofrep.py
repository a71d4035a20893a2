"""OFREP's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from gateway.rules.flags import definition, ofrep
from gateway.rules.flags.context import Context

FLAGS = definition.compiled(
    {
        "ON": True,
        "OFF": False,
        "STAFF": {"groups": ["staff"]},
        "PLAIN": {"variants": [{"name": "blue", "weight": 1}]},
        "PAID": {"users": ["u1"], "variants": [{"name": "big", "weight": 1, "payload": {"size": 3}}]},
        "NUMBER": {"variants": [{"name": "n", "weight": 1, "payload": 2.5}]},
        "NOTHING": {"variants": [{"name": "n", "weight": 1, "payload": {"type": "json", "value": "null"}}]},
        "OWN": {
            "strategies": [
                {"name": "userWithId", "parameters": {"userIds": "u1"}, "variants": [{"name": "v", "weight": 1}]}
            ]
        },
    },
    {},
)


def said(name: str, **context: Any) -> dict[str, Any]:
    flag = FLAGS.flags[name]
    found = ofrep.worded(flag, flag.evaluate(Context(**context)))
    assert found.pop("key") == name
    return found


@pytest.mark.parametrize(
    ("name", "user", "expected"),
    [
        ("ON", None, {"reason": "STATIC", "variant": "on", "value": True}),
        ("OFF", None, {"reason": "DISABLED", "variant": "off", "value": False}),
        ("STAFF", None, {"reason": "DEFAULT", "variant": "off", "value": False}),
        ("PLAIN", None, {"reason": "STATIC", "variant": "blue", "value": "blue"}),
        ("PAID", "u1", {"reason": "TARGETING_MATCH", "variant": "big", "value": {"size": 3}}),
        ("PAID", "u2", {"reason": "DEFAULT", "variant": "off"}),
        ("NUMBER", None, {"reason": "STATIC", "variant": "n", "value": 2.5}),
        ("NOTHING", None, {"reason": "STATIC", "variant": "n", "value": "n"}),
        ("OWN", "u1", {"reason": "TARGETING_MATCH", "variant": "v", "value": "v"}),
        ("OWN", None, {"reason": "DEFAULT", "variant": "off"}),
    ],
)
def test_what_a_flag_says(name: str, user: str | None, expected: dict[str, Any]) -> None:
    assert not FLAGS.wrong
    assert said(name, user=user) == expected


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[]", b'"x"', b'{"context": {}}', b'{"contexts": {"a": 1}}'])
def test_a_request_may_have_no_context(body: bytes) -> None:
    assert ofrep.given(body) == {}


def test_a_request_has_its_context() -> None:
    assert ofrep.given(b'{"context": {"targetingKey": "u1"}, "other": 1}') == {"targetingKey": "u1"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"\xff", "PARSE_ERROR"),
        (b"[" * 60_000, "PARSE_ERROR"),
        (b"1" * 5000, "PARSE_ERROR"),
        (b'{"context": null}', "INVALID_CONTEXT"),
        (b'{"context": [1]}', "INVALID_CONTEXT"),
        (b'{"context": "x"}', "INVALID_CONTEXT"),
    ],
)
def test_a_request_that_cannot_be_read(body: bytes, code: str) -> None:
    with pytest.raises(ofrep.Unreadable) as caught:
        ofrep.given(body)
    assert ofrep.failed(caught.value) == {"errorCode": code, "errorDetails": str(caught.value)}
    assert ofrep.failed(caught.value, "A") == {"key": "A", "errorCode": code, "errorDetails": str(caught.value)}


@generated(st.binary(max_size=200))
def test_whatever_comes_is_a_context_or_unreadable(body: bytes) -> None:
    try:
        found = ofrep.given(body)
    except ofrep.Unreadable:
        return
    json.dumps(dict(found))


def test_a_flag_that_there_is_not() -> None:
    assert ofrep.unknown("X")["errorCode"] == "FLAG_NOT_FOUND"
    assert ofrep.unknown("X")["key"] == "X"
