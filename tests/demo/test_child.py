"""What a gateway's log says is understood in both of its formats."""

from __future__ import annotations

import pytest

from gateway.demo.child import event_of
from gateway.telemetry.lines import json_line, text_line

LISTENING = {
    "time": "2026-01-02T03:04:05.678Z",
    "level": "info",
    "event": "listening",
    "listener": "ingress",
    "address": "127.0.0.1:43121",
}


@pytest.mark.parametrize("line", [json_line(LISTENING), text_line(LISTENING)], ids=["json", "text"])
def test_either_format_says_where_it_listens(line: bytes) -> None:
    event = event_of(line.decode())
    assert event["event"] == "listening"
    assert event["listener"] == "ingress"
    assert event["address"] == "127.0.0.1:43121"


@pytest.mark.parametrize("line", ["", "\n", "[1, 2]", '"ready"', "3", "Traceback (most", "a b"])
def test_other_lines_say_nothing(line: str) -> None:
    assert event_of(line).get("event") is None
