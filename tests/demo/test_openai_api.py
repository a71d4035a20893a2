"""The stand-in is OpenAI enough for the real SDK: it parses, streams and fails as against the real one."""

from collections.abc import AsyncIterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from gateway.demo import models
from gateway.demo.provider import KEY, make_provider
from gateway.demo.serving import serving

HELLO: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello there, provider"},
]


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with serving(make_provider(pace=0.001, patience=0.2)) as address:
        yield f"{address}/v1"


@pytest.fixture
async def client(url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with make_client(url, KEY) as made:
        yield made


def make_client(url: str, key: str) -> openai.AsyncOpenAI:
    """An SDK that does not try again by itself, and takes no proxy from the environment."""
    http_client = openai.DefaultAsyncHttpxClient(trust_env=False)
    return openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0, http_client=http_client)


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == list(models.NAMES)


async def test_completion(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model=models.NORMAL, messages=HELLO)
    assert completion.choices[0].message.content == "You said: Hello there, provider"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion._request_id == completion.id


async def test_content_may_come_in_parts(client: openai.AsyncOpenAI) -> None:
    parts: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": [{"type": "text", "text": "in"}, {"type": "text", "text": "parts"}]}
    ]
    completion = await client.chat.completions.create(model=models.NORMAL, messages=parts)
    assert completion.choices[0].message.content == "You said: in parts"


async def test_stream_is_the_same_answer_in_chunks(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=models.NORMAL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert len(deltas) > 5
    assert "".join(delta or "" for delta in deltas) == "You said: Hello there, provider"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5
    assert len({chunk.id for chunk in chunks}) == 1


async def test_stream_without_usage_unless_asked_for(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model=models.NORMAL, messages=HELLO, stream=True)
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("key", ["made-up", f"{KEY}x", KEY[:-1]])
async def test_wrong_key(url: str, key: str) -> None:
    async with make_client(url, key) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.models.list()
    assert caught.value.code == "invalid_api_key"


async def test_unknown_model(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="no-such", messages=HELLO)
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
async def test_failing_model(client: openai.AsyncOpenAI, stream: bool) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        await client.chat.completions.create(model=models.FAILING, messages=HELLO, stream=stream)
    assert caught.value.status_code == 500
    assert caught.value.type == "server_error"


async def test_slow_model(client: openai.AsyncOpenAI) -> None:
    impatient = client.with_options(timeout=0.05)
    with pytest.raises(openai.APITimeoutError):
        await impatient.chat.completions.create(model=models.SLOW, messages=HELLO)
    completion = await client.chat.completions.create(model=models.SLOW, messages=HELLO)
    assert completion.choices[0].message.content == "You said: Hello there, provider"


async def test_breaking_model_cuts_its_stream(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model=models.BREAKING, messages=HELLO, stream=True)
    with pytest.raises(openai.APIConnectionError):
        [chunk async for chunk in stream]


async def test_body_that_is_no_object(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        await client.post("/chat/completions", body=[1, 2], cast_to=object)
