"""The stand-in is Anthropic enough for the real SDK."""

from collections.abc import AsyncIterator

import aiohttp
import anthropic
import httpx2
import pytest
from anthropic.types import MessageParam

from gateway.demo import models
from gateway.demo.provider import KEY, make_provider
from gateway.demo.serving import serving

HELLO: list[MessageParam] = [{"role": "user", "content": "Hello there, provider"}]


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(make_provider(pace=0.001, patience=0.2)) as address:
        yield address


@pytest.fixture
async def client(url: str) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with make_client(url, KEY) as made:
        yield made


def make_client(url: str, key: str) -> anthropic.AsyncAnthropic:
    """An SDK that does not try again by itself, and takes no proxy from the environment."""
    http_client = anthropic.DefaultAsyncHttpxClient(trust_env=False)
    return anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0, http_client=http_client)


async def test_message(client: anthropic.AsyncAnthropic) -> None:
    message = await client.messages.create(model=models.NORMAL, max_tokens=64, messages=HELLO)
    assert [block.type for block in message.content] == ["text"]
    assert message.content[0].text == "You said: Hello there, provider"
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 5
    assert message._request_id == message.id


async def test_stream_is_the_same_message_in_events(client: anthropic.AsyncAnthropic) -> None:
    async with client.messages.stream(model=models.NORMAL, max_tokens=64, messages=HELLO) as stream:
        pieces = [piece async for piece in stream.text_stream]
        message = await stream.get_final_message()
    assert len(pieces) == 5
    assert "".join(pieces) == "You said: Hello there, provider"
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 5


async def test_wrong_key(url: str) -> None:
    async with make_client(url, "made-up") as client:
        with pytest.raises(anthropic.AuthenticationError):
            await client.messages.create(model=models.NORMAL, max_tokens=64, messages=HELLO)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-api-key": KEY}, 200),
        ({"Authorization": f"Bearer {KEY}"}, 200),
        ({"x-api-key": KEY, "Authorization": "Bearer made-up"}, 401),
        ({"x-api-key": "made-up", "Authorization": f"Bearer {KEY}"}, 401),
        ({}, 401),
    ],
)
async def test_one_right_key_and_no_other_beside_it(url: str, headers: dict[str, str], status: int) -> None:
    """What a gateway that forgot to take the client's own credential away would run into."""
    body = {"model": models.NORMAL, "max_tokens": 64, "messages": HELLO}
    headers = headers | {"anthropic-version": "2023-06-01"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/messages", json=body, headers=headers) as answer,
    ):
        assert answer.status == status


async def test_version_header_is_required(url: str) -> None:
    body = {"model": models.NORMAL, "max_tokens": 64, "messages": HELLO}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/messages", json=body, headers={"x-api-key": KEY}) as answer,
    ):
        assert answer.status == 400
        assert (await answer.json())["error"]["type"] == "invalid_request_error"


async def test_max_tokens_is_required(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError):
        await client.post("/v1/messages", body={"model": models.NORMAL, "messages": HELLO}, cast_to=object)


async def test_unknown_model(client: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.create(model="no-such", max_tokens=64, messages=HELLO)


@pytest.mark.parametrize("stream", [False, True])
async def test_failing_model(client: anthropic.AsyncAnthropic, stream: bool) -> None:
    with pytest.raises(anthropic.InternalServerError) as caught:
        await client.messages.create(model=models.FAILING, max_tokens=64, messages=HELLO, stream=stream)
    assert caught.value.status_code == 500


async def test_slow_model(client: anthropic.AsyncAnthropic) -> None:
    impatient = client.with_options(timeout=0.05)
    with pytest.raises(anthropic.APITimeoutError):
        await impatient.messages.create(model=models.SLOW, max_tokens=64, messages=HELLO)


async def test_breaking_model_cuts_its_stream(client: anthropic.AsyncAnthropic) -> None:
    stream = await client.messages.create(model=models.BREAKING, max_tokens=64, messages=HELLO, stream=True)
    with pytest.raises((anthropic.APIConnectionError, httpx2.TransportError)):
        [event async for event in stream]
