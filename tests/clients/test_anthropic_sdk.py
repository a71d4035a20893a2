"""The anthropic SDK through egress: the app holds no key, streams stream, and an open breaker is heard of at once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import anthropic
import httpx2  # what the SDK speaks HTTP with
import pytest
import pytest_asyncio
from anthropic.types import MessageParam

from gateway.demo import models
from tests.clients.conftest import PACE, Sidecar

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO: list[MessageParam] = [{"role": "user", "content": "Hello there, from behind the gateway"}]
SAID = "You said: Hello there, from behind the gateway"
MESSAGES = "/v1/messages"


def make(base_url: str) -> anthropic.AsyncAnthropic:
    """As an app makes it, with a key that is none; with the SDK's own retries."""
    http_client = anthropic.DefaultAsyncHttpxClient(trust_env=False)
    return anthropic.AsyncAnthropic(base_url=base_url, api_key="the-gateway-has-it", http_client=http_client)


@pytest_asyncio.fixture(loop_scope="module")
async def client(sidecar: Sidecar) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with make(f"{sidecar.egress}/anthropic") as made:
        yield made


async def test_the_key_is_the_gateways(sidecar: Sidecar, client: anthropic.AsyncAnthropic) -> None:
    async with make(sidecar.provider) as direct:
        with pytest.raises(anthropic.AuthenticationError):
            await direct.messages.create(model=models.NORMAL, max_tokens=100, messages=HELLO)
    message = await client.messages.create(model=models.NORMAL, max_tokens=100, messages=HELLO)
    assert [block.text for block in message.content if block.type == "text"] == [SAID]
    assert message._request_id == message.id  # the provider's request-id passes


async def test_a_stream_comes_word_by_word(client: anthropic.AsyncAnthropic) -> None:
    words, came = [], []
    async with client.messages.stream(model=models.NORMAL, max_tokens=100, messages=HELLO) as stream:
        async for text in stream.text_stream:
            came.append(time.monotonic())
            words.append(text)
        final = await stream.get_final_message()
    assert "".join(words) == SAID
    assert final.stop_reason == "end_turn"
    assert came[-1] - came[0] > PACE * (len(SAID.split()) - 1) / 2


async def test_a_stream_that_breaks_is_an_error(client: anthropic.AsyncAnthropic) -> None:
    async with client.messages.stream(model=models.BREAKING, max_tokens=100, messages=HELLO) as stream:
        with pytest.raises((anthropic.APIConnectionError, httpx2.TransportError)):
            [text async for text in stream.text_stream]


async def test_the_providers_own_errors_pass(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        await client.messages.create(model="no-such", max_tokens=100, messages=HELLO)
    body = caught.value.body
    assert isinstance(body, dict)
    assert body["error"]["type"] == "not_found_error"


async def test_an_open_breaker_is_told_at_once(own_sidecar: Sidecar) -> None:
    async with make(f"{own_sidecar.egress}/anthropic") as client:
        once = client.with_options(max_retries=0)
        for _ in range(5):
            with pytest.raises(anthropic.InternalServerError):
                await once.messages.create(model=models.FAILING, max_tokens=100, messages=HELLO)
        assert await own_sidecar.gateway.metric("gateway_breaker_state", upstream="anthropic") == 2
        assert client.max_retries == 2
        with pytest.raises(anthropic.APIStatusError) as refused:
            await client.messages.create(model=models.NORMAL, max_tokens=100, messages=HELLO)
    assert refused.value.status_code == 503
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert await own_sidecar.gateway.metric("gateway_requests_total", listener="egress", status="503") == 1
    assert own_sidecar.asked[MESSAGES] == 5
