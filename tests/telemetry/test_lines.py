"""One event is one line, whatever it holds, and no byte of it can move a terminal."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry.lines import Clock, json_line, text_line

_ANYTHING = st.one_of(
    st.text(st.characters()),  # lone surrogates too
    st.binary(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.text()),
)
_FIELDS = st.dictionaries(st.sampled_from(["path", "method", "client", "detail", "n"]), _ANYTHING)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _one_clean_line(line: bytes) -> str:
    assert line.endswith(b"\n")
    text = line[:-1].decode()
    assert not _CONTROLS.search(text)
    return text


@given(_FIELDS)
def test_a_json_line_is_one_line_that_parses(fields: dict[str, object]) -> None:
    read = json.loads(_one_clean_line(json_line(fields)))
    assert read.keys() == fields.keys()


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**63), 2**63))
def test_what_json_can_hold_comes_back_as_it_was(text: str, number: int) -> None:
    assert json.loads(json_line({"text": text, "number": number})) == {"text": text, "number": number}


@given(st.binary())
def test_bytes_come_back_as_latin_1(data: bytes) -> None:
    assert json.loads(json_line({"path": data}))["path"].encode("latin-1") == data


@given(_FIELDS)
def test_a_text_line_is_one_line_of_all_fields(fields: dict[str, object]) -> None:
    text = _one_clean_line(text_line({"time": "T", "level": "info", "event": "request", **fields}))
    assert text.startswith("T info    request")
    for name in fields:
        assert f" {name}=" in text


def test_text_quotes_what_is_not_plain() -> None:
    line = text_line(
        {"time": "T", "level": "warning", "event": "a b", "x": "1 2", "y": 'q"', "z": "", "p": "/a/b?%20", "q": "a=b"}
    )
    assert line == b'T warning "a b" x="1 2" y="q\\"" z="" p=/a/b?%20 q="a=b"\n'


@pytest.mark.parametrize("line", [json_line, text_line])
@pytest.mark.parametrize("evil", ["\x1b[2J", "a\nb", "a\r\nb", "\x7f", "\x9b31m", "\u2028", "\x00"])
def test_a_client_cannot_forge_a_line_or_steer_a_terminal(line: object, evil: str) -> None:
    assert callable(line)
    written = _one_clean_line(line({"event": "request", "path": evil}))
    assert evil not in written


@given(st.floats(0, 4102444800))
def test_times_are_rfc_3339_with_milliseconds(now: float) -> None:
    text = Clock().text(now)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert abs(datetime.fromisoformat(text).timestamp() - now) < 0.002


def test_a_clock_goes_on_over_seconds_and_back() -> None:
    clock = Clock()
    for now in (1700000000.0, 1700000000.999, 1700000001.001, 1699999999.5, 1700000000.25):
        expected = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        assert clock.text(now) == expected
