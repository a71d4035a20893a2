"""The openai SDK through egress: the app holds no key, streams stream, and an open breaker is heard of at once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import openai
import pytest
import pytest_asyncio
from openai.types.chat import ChatCompletionMessageParam

from gateway.demo import models
from tests.clients.conftest import PACE, Sidecar

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello there, from behind the gateway"}]
SAID = "You said: Hello there, from behind the gateway"
COMPLETIONS = "/v1/chat/completions"


def make(base_url: str) -> openai.AsyncOpenAI:
    """As an app makes it, with a key that is none; with the SDK's own retries."""
    http_client = openai.DefaultAsyncHttpxClient(trust_env=False)
    return openai.AsyncOpenAI(base_url=base_url, api_key="the-gateway-has-it", http_client=http_client)


@pytest_asyncio.fixture(loop_scope="module")
async def client(sidecar: Sidecar) -> AsyncIterator[openai.AsyncOpenAI]:
    async with make(f"{sidecar.egress}/openai/v1") as made:
        yield made


async def test_models(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == list(models.NAMES)


async def test_the_key_is_the_gateways(sidecar: Sidecar, client: openai.AsyncOpenAI) -> None:
    async with make(f"{sidecar.provider}/v1") as direct:
        with pytest.raises(openai.AuthenticationError):
            await direct.chat.completions.create(model=models.NORMAL, messages=HELLO)
    completion = await client.chat.completions.create(model=models.NORMAL, messages=HELLO)
    assert completion.choices[0].message.content == SAID
    assert completion.usage is not None
    assert completion._request_id == completion.id  # the provider's x-request-id passes


async def test_a_call_can_be_followed(sidecar: Sidecar, client: openai.AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model=models.NORMAL, messages=HELLO, extra_headers={"X-Correlation-ID": "from-the-app"}
    )
    assert raw.headers["X-Correlation-ID"] == "from-the-app"
    line = await sidecar.gateway.access_line(correlation_id="from-the-app")
    assert (line["listener"], line["route"], line["upstream"], line["status"]) == ("egress", "openai", "openai", 200)


async def test_a_stream_comes_word_by_word(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=models.NORMAL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    words, came = [], []
    async for chunk in stream:
        came.append(time.monotonic())
        words += [choice.delta.content or "" for choice in chunk.choices]
    assert "".join(words) == SAID
    assert chunk.usage is not None
    assert came[-1] - came[0] > PACE * (len(SAID.split()) - 1) / 2


async def test_a_stream_that_breaks_is_an_error(client: openai.AsyncOpenAI) -> None:
    """Not an answer that is a little short."""
    stream = await client.chat.completions.create(model=models.BREAKING, messages=HELLO, stream=True)
    with pytest.raises(openai.APIConnectionError):
        [chunk async for chunk in stream]


async def test_the_providers_own_errors_pass(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="no-such", messages=HELLO)
    assert caught.value.code == "model_not_found"


async def test_an_open_breaker_is_told_at_once(own_sidecar: Sidecar) -> None:
    """While it is closed the SDK tries a 500 three times; once it is open, once, and nothing reaches the provider."""
    async with make(f"{own_sidecar.egress}/openai/v1") as client:
        for attempts in (2, 1, 1):  # five in all, with the retries of the first
            with pytest.raises(openai.InternalServerError) as failed:
                await client.with_options(max_retries=attempts if attempts > 1 else 0).chat.completions.create(
                    model=models.FAILING, messages=HELLO
                )
            assert failed.value.status_code == 500
        assert own_sidecar.asked[COMPLETIONS] == 5
        assert await own_sidecar.gateway.metric("gateway_breaker_state", upstream="openai") == 2
        assert client.max_retries == 2
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(model=models.NORMAL, messages=HELLO)
    assert refused.value.status_code == 503
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert 1 <= int(refused.value.response.headers["Retry-After"]) <= 10
    assert await own_sidecar.gateway.metric("gateway_requests_total", listener="egress", status="503") == 1
    assert own_sidecar.asked[COMPLETIONS] == 5
