"""What many tests expect of an answer: the gateway's own refusals, the fields it adds, the order of times."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.message import Headers, Message, Response

REQUEST_FIELDS_OF_OURS = {
    "x-correlation-id",
    "traceparent",
    "tracestate",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
}
RESPONSE_FIELDS_OF_OURS = {"x-correlation-id", "traceresponse"}
FRAMING = {"connection", "transfer-encoding", "content-length"}


def passed_on(message: Message, *, but: set[str] | None = None) -> Headers:
    """The message's fields without those that the gateway adds or must set by itself."""
    ours = (RESPONSE_FIELDS_OF_OURS if isinstance(message, Response) else REQUEST_FIELDS_OF_OURS) | (but or set())
    return [(name, value) for name, value in message.headers if name.lower().decode() not in ours]


def assert_problem(response: Response, status: int, error: str | None = None) -> dict[str, Any]:
    """A refusal of the gateway's own: RFC 9457, with Proxy-Status (RFC 9209); its members."""
    assert response.status == status, (response.status, response.body[:300])
    assert response.value("content-type") == b"application/problem+json"
    proxy_status = response.value("proxy-status")
    assert proxy_status is not None
    match = re.fullmatch(rb"gateway; error=([a-z_]+)(;.*)?", proxy_status)
    assert match, proxy_status
    if error is not None:
        assert match[1].decode() == error
    problem = json.loads(response.body)
    assert set(problem) >= {"type", "title", "status", "detail", "correlation_id"}, problem
    assert problem["status"] == status
    assert all(isinstance(problem[key], str) and problem[key] for key in ("type", "title", "detail"))
    correlation_id = response.value("x-correlation-id")
    assert correlation_id is not None
    assert correlation_id.decode() == problem["correlation_id"]
    return dict(problem)


def assert_within(seconds: float, expected: float, *, earliest: float = 0.9) -> None:
    """A deadline kept: not before it (but for a timer's grain), and not after three times it."""
    assert expected * earliest <= seconds <= expected * 3, f"after {seconds:.3f} s, expected {expected} s"
