"""Answers to calls with a body, over sockets: by content, never across callers, streams only when they are whole."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.client import Client, Fields
from tests.support.gateway import Gateway
from tests.support.message import Cut, Response
from tests.wire.stage import Asking, Stage, answers, crowd, joined, told

FRESH = b"Cache-Control: max-age=60"
ALICE, BOB = [("Authorization", "Bearer alice")], [("Authorization", "Bearer bob")]
EVENTS = b'data: {"n": 1}\n\ndata: {"n": 2}\n\n'


async def post(asking: Asking, target: str, content: bytes, answer: bytes, *lines: bytes, **more: Any) -> Response:
    """Ask with a body, and have the origin answer."""
    fields = more.pop("fields", [])
    asking.client.ask("POST", target, fields, content)
    call = await asking.stage.call()
    assert call.request.body == content
    call.answer(answer, *lines, **more)
    return await asking.client.response("POST")


async def again(asking: Asking, target: str, content: bytes, fields: Fields = ()) -> Response:
    """Ask with a body, and be answered without the origin."""
    return await asking.hit(target, "POST", body=content, fields=fields)


async def test_a_post_by_its_body(asking: Asking) -> None:
    await post(asking, "/asked/a", b"one", b"answer to one")
    await post(asking, "/asked/a", b"two", b"answer to two")
    assert (await again(asking, "/asked/a", b"one")).body == b"answer to one"
    response = await again(asking, "/asked/a", b"two")
    assert response.body == b"answer to two"
    assert told(response).startswith("gateway; hit")
    await asking.miss("/asked/a", body=b"of GET")
    assert (await asking.hit("/asked/a")).body == b"of GET"


@pytest.mark.parametrize("field", ["Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Goog-Api-Key"])
async def test_a_post_never_crosses_callers(asking: Asking, field: str) -> None:
    target = f"/asked/{field}"
    for who in ("alice", "bob"):
        await post(asking, target, b"same", who.encode(), fields=[(field, f"k={who}")])
    await post(asking, target, b"same", b"nobody")
    for who in ("alice", "bob"):
        assert (await again(asking, target, b"same", [(field, f"k={who}")])).body == who.encode()
    assert (await again(asking, target, b"same")).body == b"nobody"


async def test_a_post_by_what_its_json_means_for_all_callers(asking: Asking) -> None:
    await post(asking, "/meant/a", b'{"a": 1, "b": [1, 2]}', b"one", fields=ALICE)
    assert (await again(asking, "/meant/a", b'{"b":[1,2],"a":1}', BOB)).body == b"one"
    await post(asking, "/meant/a", b'{"a": 1, "b": [2, 1]}', b"two")
    await post(asking, "/meant/a", b'{"a": 1, "b": [1, 2], "unheard_of": 0}', b"three")


async def test_posts_at_the_same_time_are_one(cached: Gateway, stage: Stage) -> None:
    async with crowd(cached, 6) as clients:
        for number, client in enumerate(clients):
            client.ask("POST", "/asked/together", [("Authorization", f"caller {number % 2}")], b"same")
        calls = [await stage.call(), await stage.call()]
        await joined(cached, 6)
        for call in calls:
            call.answer(call.request.value("authorization") or b"")
        for number, response in enumerate(await answers(clients, "POST")):
            assert response.body == b"caller %d" % (number % 2)
    assert stage.count == 2


@pytest.mark.parametrize("status", [b"400 Bad Request", b"404 Not Found", b"429 Too Many Requests", b"500 Oh No"])
async def test_of_a_post_only_what_went_well_is_kept(asking: Asking, status: bytes) -> None:
    target = "/asked/status-" + status[:3].decode()
    for _ in range(2):
        response = await post(asking, target, b"same", b"no", FRESH, status=status)
        assert response.status == int(status[:3])


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        (b"data: [DONE]\n\n", True),
        (b'event: message_stop\ndata: {"type": "message_stop"}\n\n', True),
        (b'event: response.completed\ndata: {"type": "response.completed"}\n\n', True),
        (b"", False),
        (b"data: [DONE]", False),
        (b'data: {"error": "overloaded"}\n\n', False),
    ],
)
async def test_an_event_stream_is_kept_once_its_last_event_is_there(asking: Asking, last: bytes, kept: bool) -> None:
    """And replayed as it came."""
    target = "/asked/stream-" + last.hex()
    whole = EVENTS + last
    asking.client.ask("POST", target, [], b'{"stream": true}')
    call = await asking.stage.call()
    call.begin(b"Content-Type: text/event-stream")
    call.chunk(EVENTS[:20])
    body = asking.client.body(await asking.client.response_head())
    assert await body.read(20) == EVENTS[:20]
    call.chunk(whole[20:])
    call.end()
    assert await body.rest() == whole[20:]
    if kept:
        response = await again(asking, target, b'{"stream": true}')
        assert (response.body, response.value("content-type")) == (whole, b"text/event-stream")
    else:
        assert (await post(asking, target, b'{"stream": true}', b"anew")).body == b"anew"


async def test_an_event_stream_that_breaks_off_is_not_kept(asking: Asking) -> None:
    async with await Client.connect(asking.client.wire.transport.get_extra_info("peername")) as client:
        client.ask("POST", "/asked/broken", [], b"same")
        call = await asking.stage.call()
        call.begin(b"Content-Type: text/event-stream")
        call.chunk(EVENTS + b"data: [DONE]\n\n")
        body = client.body(await client.response_head())
        assert await body.read(20) == EVENTS[:20]
        call.reset()
        with pytest.raises(Cut):
            await body.rest()
    await post(asking, "/asked/broken", b"same", b"anew")


async def test_each_look_up_in_memory_counts_once(asking: Asking, cached: Gateway) -> None:
    async def counts() -> tuple[float, ...]:
        name = "gateway_cache_look_ups_total"
        return tuple([await cached.metric(name, tier="memory", result=result) for result in ("hit", "miss")])

    before = await counts()
    await post(asking, "/asked/counted", b"one", b"answer to one")
    await again(asking, "/asked/counted", b"one")
    await asking.miss("/asked/counted")
    await asking.hit("/asked/counted")
    hits, misses = await counts()
    assert (hits - before[0], misses - before[1]) == (2, 2)
