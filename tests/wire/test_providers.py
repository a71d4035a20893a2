"""Presets on egress: the key goes to the provider as it wants it, the app holds none, and the file wins."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.client import fetch
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start

CALL = ("POST", "/provider/v1/things?a=b")


@pytest.mark.parametrize(
    ("preset", "field", "value"),
    [
        ("openai", "authorization", b"Bearer k-123"),
        ("anthropic", "x-api-key", b"k-123"),
        ("huggingface", "authorization", b"Bearer k-123"),
        ("fal", "authorization", b"Key k-123"),
    ],
)
async def test_the_key_is_injected(start: Start, origin: Origin, preset: str, field: str, value: bytes) -> None:
    """Whatever the app's SDK made up goes; what is not a credential stays."""
    provider: dict[str, Any] = {"preset": preset, "url": origin.url, "api_key": "${KEY_FOR_TEST}"}
    gateway = await start(upstreams={"provider": provider}, environment={"KEY_FOR_TEST": "k-123"})
    made_up = [("Authorization", "Bearer made-up"), (field, "made-up"), ("X-Other", "stays")]
    for fields in ([], made_up):
        assert (await fetch(gateway.egress, *CALL, fields, b"{}")).status == 200
        request = origin.requests[-1]
        assert request.value(field) == value
        assert b"made-up" not in request.raw
        assert request.target == b"/v1/things?a=b"
    assert origin.requests[-1].value("x-other") == b"stays"


@pytest.mark.parametrize("preset", ["openai", "anthropic", "huggingface", "fal", "comfyui", "duitku"])
async def test_without_a_key_nothing_is_touched(start: Start, origin: Origin, preset: str) -> None:
    provider = {"preset": preset, "url": origin.url}
    gateway = await start(upstreams={"provider": provider})
    fields = [("Authorization", "Bearer apps-own"), ("x-api-key", "apps-own-too")]
    assert (await fetch(gateway.egress, *CALL, fields, b"{}")).status == 200
    (request,) = origin.requests
    assert request.value("authorization") == b"Bearer apps-own"
    assert request.value("x-api-key") == b"apps-own-too"


@pytest.mark.parametrize(("preset", "failures"), [("openai", 5), ("comfyui", 3), ("duitku", 3)])
async def test_a_presets_breaker_counts_its_statuses(
    start: Start, origin: Origin, preset: str, failures: int
) -> None:
    gateway = await start(upstreams={"provider": {"preset": preset, "url": origin.url, "breaker": {"reset": "60s"}}})
    origin.answer = lambda request: ok(b"slow down", b"Retry-After: 3", status=b"429 Too Many Requests")
    for _ in range(failures):
        response = await fetch(gateway.egress, *CALL, body=b"{}")
        assert (response.status, response.value("retry-after"), response.body) == (429, b"3", b"slow down")
    response = await fetch(gateway.egress, *CALL, body=b"{}")
    assert (response.status, response.value("x-should-retry")) == (503, b"false")
    assert len(origin.requests) == failures


async def test_a_base_urls_path_goes_first(start: Start, origin: Origin) -> None:
    gateway = await start(upstreams={"provider": {"url": origin.url + "/base/v2"}})
    assert (await fetch(gateway.egress, "GET", "/provider/things?a")).status == 200
    assert origin.requests[0].target == b"/base/v2/things?a"
