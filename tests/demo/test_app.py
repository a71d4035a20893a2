"""The example app does what the tour says of it, without a gateway in between."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from gateway.demo.app import LISTING, MAX_MESSAGE, make_app
from gateway.demo.serving import serving


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with serving(make_app()) as url, aiohttp.ClientSession(url) as session:
        yield session


async def test_echo_says_what_arrived(client: aiohttp.ClientSession) -> None:
    headers = [("x-TWICE", "1"), ("x-TWICE", "2")]
    target = URL("/any//where?a=1&b=%2F", encoded=True)
    async with client.post(target, data=b"12345", headers=headers) as answer:
        said = await answer.json()
    assert said["method"] == "POST"
    assert said["path"] == "/any//where?a=1&b=%2F"
    assert said["body_bytes"] == 5
    assert [pair for pair in said["headers"] if pair[0] == "x-TWICE"] == [["x-TWICE", "1"], ["x-TWICE", "2"]]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "PURGE"])
async def test_echo_takes_every_method(client: aiohttp.ClientSession, method: str) -> None:
    async with client.request(method, "/api/echo") as answer:
        assert (await answer.json())["method"] == method


async def test_events_come_one_by_one(client: aiohttp.ClientSession) -> None:
    """The first is here while the stream is still far from its end."""
    async with client.get("/api/events?count=3&interval=60") as answer:
        assert answer.content_type == "text/event-stream"
        event = await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 15)
    assert event.startswith(b'id: 1\ndata: {"tick": 1, ')


async def test_events_end_after_their_count(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/events?count=3&interval=0.001") as answer:
        events = (await answer.text()).split("\n\n")
    assert events.pop() == ""
    assert [json.loads(event.partition("data: ")[2])["tick"] for event in events] == [1, 2, 3]


async def test_websocket_says_text_and_bytes_back(client: aiohttp.ClientSession) -> None:
    async with client.ws_connect("/api/ws") as socket:
        await socket.send_str("grüezi")
        assert await socket.receive_str() == "grüezi"
        await socket.send_bytes(b"\x00\xff")
        assert await socket.receive_bytes() == b"\x00\xff"
        await socket.close(code=1000)
    assert socket.close_code == 1000


async def test_websocket_message_is_bounded(client: aiohttp.ClientSession) -> None:
    async with client.ws_connect("/api/ws") as socket:
        await socket.send_bytes(bytes(MAX_MESSAGE + 1))
        closed = await socket.receive()
    assert closed.type is aiohttp.WSMsgType.CLOSE
    assert closed.data == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_slow_takes_its_time(client: aiohttp.ClientSession) -> None:
    began = time.monotonic()
    async with client.get("/api/slow?seconds=0.2") as answer:
        assert await answer.json() == {"slept": 0.2}
    assert time.monotonic() - began >= 0.2


async def test_models_are_listed_anew_each_time_and_slowly(client: aiohttp.ClientSession) -> None:
    """The tour shows what a cache makes of it, so the app must not do that itself, nor say how long it is good."""
    began = time.monotonic()
    lists = []
    for _ in range(2):
        async with client.get("/api/models") as answer:
            lists.append(await answer.json())
            assert not {"Cache-Control", "Expires", "ETag", "Last-Modified", "Age"} & answer.headers.keys()
    assert time.monotonic() - began >= 2 * LISTING
    assert lists[0]["models"] == lists[1]["models"]
    assert lists[0]["made"] < lists[1]["made"]


@pytest.mark.parametrize("status", [400, 418, 500, 503, 599])
async def test_fail_answers_as_asked(client: aiohttp.ClientSession, status: int) -> None:
    async with client.get(f"/api/fail?status={status}") as answer:
        assert answer.status == status


@pytest.mark.parametrize(
    "target",
    [
        "/api/slow?seconds=soon",
        "/api/slow?seconds=nan",
        "/api/slow?seconds=-1",
        "/api/slow?seconds=601",
        "/api/fail?status=200",
        "/api/events?count=0",
        "/api/events?count=3601",
        "/api/events?interval=0",
    ],
)
async def test_what_is_out_of_bounds_is_refused(client: aiohttp.ClientSession, target: str) -> None:
    async with client.get(target) as answer:
        assert answer.status == 400
        assert "is a number from" in (await answer.json())["error"]


async def test_page_uses_the_stream_and_the_socket(client: aiohttp.ClientSession) -> None:
    async with client.get("/") as answer:
        assert answer.content_type == "text/html"
        page = await answer.text()
    assert 'new EventSource("api/events")' in page
    assert 'new WebSocket(new URL("api/ws"' in page
