"""What is kept, over sockets: for whom it answers, in which form, and what ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.client import Client, Fields
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.message import Cut, Response
from tests.wire.stage import Call, Stage, answers, crowd, joined, told

FRESH = b"Cache-Control: max-age=60"
BODY = bytes(range(256)) * 4
EVENTS = b'data: {"n": 1}\n\ndata: {"n": 2}\n\n'


class Asking:
    """One client, and the origin behind."""

    def __init__(self, client: Client, stage: Stage) -> None:
        self.client = client
        self.stage = stage

    async def miss(self, target: str, *lines: bytes, body: bytes = b"ok", **how: Any) -> tuple[Call, Response]:
        """Ask, and have the origin answer."""
        status = how.pop("status", b"200 OK")
        method = how.pop("method", "GET")
        self.client.ask(method, target, **how)
        call = await self.stage.call()
        call.answer(body, *lines, status=status)
        return call, await self.client.response(method)

    async def hit(self, target: str, method: str = "GET", **how: Any) -> Response:
        """Ask, and be answered without the origin."""
        before = self.stage.count
        response = await self.client.request(method, target, **how)
        assert self.stage.count == before, "the origin was asked"
        return response


@pytest_asyncio.fixture
async def asking(cached: Gateway, stage: Stage) -> AsyncIterator[Asking]:
    async with await Client.connect(cached.ingress) as client:
        yield Asking(client, stage)


async def test_a_hit_is_what_came(asking: Asking) -> None:
    _, first = await asking.miss("/plain/whole", FRESH, b"X-Own: a", b'ETag: "v"', body=BODY)
    assert told(first) == "gateway; fwd=uri-miss; stored"
    assert first.value("age") is None
    response = await asking.hit("/plain/whole")
    assert (response.status, response.body, response.value("x-own")) == (200, BODY, b"a")
    assert told(response).startswith("gateway; hit; ttl=")
    assert int(response.value("age") or b"") <= 5
    assert first.value("date") == response.value("date")
    assert first.value("x-correlation-id") != response.value("x-correlation-id")


async def test_an_age_that_came_with_it_goes_on(asking: Asking) -> None:
    await asking.miss("/plain/aged", FRESH, b"Age: 30")
    response = await asking.hit("/plain/aged")
    assert 30 <= int(response.value("age") or b"") <= 35
    assert 25 <= int(told(response).rpartition("ttl=")[2]) <= 30


@pytest.mark.parametrize(
    ("sent", "status", "body", "content_range"),
    [
        ("bytes=0-9", 206, BODY[:10], b"bytes 0-9/1024"),
        ("bytes=1000-", 206, BODY[1000:], b"bytes 1000-1023/1024"),
        ("bytes=-24", 206, BODY[-24:], b"bytes 1000-1023/1024"),
        ("bytes=0-5000", 206, BODY, b"bytes 0-1023/1024"),
        ("bytes=2000-", 416, b"", b"bytes */1024"),
        ("lines=1-2", 200, BODY, None),
    ],
)
async def test_a_range_of_a_stored_whole(
    asking: Asking, sent: str, status: int, body: bytes, content_range: bytes | None
) -> None:
    target = f"/plain/range-{sent}"
    await asking.miss(target, FRESH, b'ETag: "v"', body=BODY)
    response = await asking.hit(target, fields=[("Range", sent)])
    assert (response.status, response.body, response.value("content-range")) == (status, body, content_range)


async def test_if_range(asking: Asking) -> None:
    await asking.miss("/plain/if-range", FRESH, b'ETag: "v"', body=BODY)
    ten = ("Range", "bytes=0-9")
    assert (await asking.hit("/plain/if-range", fields=[ten, ("If-Range", '"v"')])).body == BODY[:10]
    other = await asking.hit("/plain/if-range", fields=[ten, ("If-Range", '"w"')])
    assert (other.status, other.body) == (200, BODY)


async def test_a_part_is_never_stored_as_the_whole(asking: Asking) -> None:
    call, response = await asking.miss(
        "/plain/part",
        FRESH,
        b"Content-Range: bytes 0-9/1024",
        body=BODY[:10],
        status=b"206 Partial Content",
        fields=[("Range", "bytes=0-9")],
    )
    assert call.request.value("range") == b"bytes=0-9"
    assert (response.status, response.body) == (206, BODY[:10])
    _, whole = await asking.miss("/plain/part", FRESH, body=BODY)
    assert whole.body == BODY


async def test_a_range_does_not_join_a_fetch_of_the_whole(cached: Gateway, stage: Stage) -> None:
    async with await Client.connect(cached.ingress) as whole, await Client.connect(cached.ingress) as part:
        whole.ask("GET", "/plain/whole-and-part")
        call = await stage.call()
        part.ask("GET", "/plain/whole-and-part", [("Range", "bytes=0-9")])
        other = await stage.call()
        assert other.request.value("range") == b"bytes=0-9"
        other.answer(BODY[:10], b"Content-Range: bytes 0-9/1024", status=b"206 Partial Content")
        assert (await part.response()).status == 206
        call.answer(BODY, FRESH)
        assert (await whole.response()).body == BODY


@pytest.mark.parametrize(
    "condition",
    [
        ("If-None-Match", '"v"'),
        ("If-None-Match", '"u", W/"v"'),
        ("If-Modified-Since", "Wed, 01 Jan 2025 00:00:00 GMT"),
    ],
)
async def test_a_condition_is_answered_here(asking: Asking, condition: tuple[str, str]) -> None:
    target = "/plain/condition-" + condition[1].encode().hex()
    lines = (FRESH, b'ETag: "v"', b"Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT")
    await asking.miss(target, *lines, body=BODY)
    response = await asking.hit(target, fields=[condition])
    assert (response.status, response.body, response.value("etag")) == (304, b"", b'"v"')
    assert told(response).startswith("gateway; hit")
    assert (await asking.hit(target, fields=[("If-None-Match", '"other"')])).body == BODY


async def test_a_condition_on_a_miss_fetches_the_whole(asking: Asking) -> None:
    """And the client gets what it asked for."""
    call, response = await asking.miss(
        "/plain/condition-miss", FRESH, b'ETag: "v"', fields=[("If-None-Match", '"v"')]
    )
    assert call.request.value("if-none-match") is None
    assert response.status == 304
    assert (await asking.hit("/plain/condition-miss")).body == b"ok"


async def test_head_from_get(asking: Asking) -> None:
    await asking.miss("/plain/head", FRESH, b"X-Own: a", body=BODY)
    response = await asking.hit("/plain/head", "HEAD")
    assert (response.status, response.length, response.value("x-own")) == (200, 1024, b"a")
    call, _ = await asking.miss("/plain/head-first", FRESH, method="HEAD")
    assert call.request.method == b"HEAD"
    _, got = await asking.miss("/plain/head-first", FRESH)
    assert got.body == b"ok"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_an_unsafe_method_ends_what_it_changes(asking: Asking, method: str) -> None:
    target, created = f"/plain/{method}/a", f"/plain/{method}/b"
    for one in (target, created, target + "?q=1"):
        await asking.miss(one, FRESH)
    _, response = await asking.miss(
        target,
        b"Location: " + created.encode(),
        method=method,
        body=b"",
        status=b"201 Created",
        fields=[("Content-Length", "0")],
    )
    assert told(response) == "gateway; fwd=method"
    for one in (target, created):
        await asking.miss(one, FRESH)
    await asking.hit(target + "?q=1")


async def test_an_unsafe_method_that_failed_ends_nothing(asking: Asking) -> None:
    await asking.miss("/plain/failed", FRESH)
    await asking.miss("/plain/failed", method="DELETE", status=b"500 Oh No")
    await asking.hit("/plain/failed")


async def test_an_unsafe_method_ends_nothing_of_another_host(asking: Asking) -> None:
    await asking.miss("/plain/elsewhere", FRESH)
    lines = (b"Location: http://other.example/plain/elsewhere",)
    await asking.miss("/plain/here", *lines, method="POST", fields=[("Content-Length", "0")])
    await asking.hit("/plain/elsewhere")
    await asking.miss("/plain/elsewhere", FRESH, host="other.example")


async def test_an_unsafe_method_overtakes_a_fetch(cached: Gateway, stage: Stage) -> None:
    """What was asked for before the change is not stored after it, and nobody joins it any more."""
    async with await Client.connect(cached.ingress) as reads, await Client.connect(cached.ingress) as writes:
        reads.ask("GET", "/plain/overtaken")
        before = await stage.call()
        writes.ask("DELETE", "/plain/overtaken")
        (await stage.call()).answer()
        assert (await writes.response()).status == 200
        writes.ask("GET", "/plain/overtaken")
        after = await stage.call()
        before.answer(b"before", FRESH)
        assert (await reads.response()).body == b"before"
        after.answer(b"after", FRESH)
        assert (await writes.response()).body == b"after"
        assert (await reads.request("GET", "/plain/overtaken")).body == b"after"
    assert stage.count == 3


@pytest.mark.parametrize("soft", [False, True])
async def test_a_purge_overtakes_a_fetch(cached: Gateway, stage: Stage, soft: bool) -> None:
    """Nobody joins what was asked for before it, and nothing of that is stored as fresh."""
    target = f"/plain/purged-{soft}"
    async with (
        await Client.connect(cached.ingress) as reads,
        await Client.connect(cached.ingress) as later,
        await Client.connect(cached.address("admin")) as admin,
    ):
        reads.ask("GET", target)
        before = await stage.call()
        fields = [("Soft-Purge", "1")] if soft else []
        assert (await admin.request("PURGE", target, fields, host="localhost")).status == 200
        later.ask("GET", target)
        after = await stage.call()
        after.answer(b"after", FRESH)
        assert (await later.response()).body == b"after"
        before.answer(b"before", FRESH)
        assert (await reads.response()).body == b"before"
        assert (await reads.request("GET", target)).body == b"after"
    assert stage.count == 2


async def test_only_if_cached(asking: Asking) -> None:
    only = [("Cache-Control", "only-if-cached")]
    assert_problem(await asking.hit("/plain/only", fields=only), 504)
    await asking.miss("/plain/only", FRESH)
    assert (await asking.hit("/plain/only", fields=only)).body == b"ok"


async def test_a_client_that_wants_nothing_stored(asking: Asking) -> None:
    for _ in range(2):
        _, response = await asking.miss("/plain/no-store", FRESH, fields=[("Cache-Control", "no-store")])
        assert "stored" not in told(response)


# whose it is

ALICE, BOB = [("Authorization", "Bearer alice")], [("Authorization", "Bearer bob")]


@pytest.mark.parametrize(
    ("line", "shared"),
    [
        (b"max-age=60", False),
        (b"public, max-age=60", True),
        (b"s-maxage=60", True),
        (b"max-age=60, must-revalidate", True),
    ],
)
async def test_authorization(asking: Asking, line: bytes, shared: bool) -> None:
    target = "/plain/authorization-" + line.hex()
    control = b"Cache-Control: " + line
    await asking.miss(target, control, fields=ALICE)
    for fields in (BOB, ALICE, []):
        if shared:
            await asking.hit(target, fields=fields)
        elif fields:
            await asking.miss(target, control, fields=fields)
    if not shared:
        await asking.miss(target, control, body=b"anybody's")
        _, response = await asking.miss(target, control, body=b"bob's", fields=BOB)
        assert response.body == b"bob's"
        assert (await asking.hit(target)).body == b"anybody's"


async def test_a_routes_ttl_is_not_for_who_bears_a_cookie(asking: Asking) -> None:
    for body in (b"one", b"two"):
        _, response = await asking.miss("/kept/cookie", body=body, fields=[("Cookie", "session=1")])
        assert response.body == body
    await asking.miss("/kept/cookie", body=b"anybody's")
    assert (await asking.hit("/kept/cookie")).body == b"anybody's"
    _, response = await asking.miss("/kept/cookie", body=b"three", fields=[("Cookie", "session=1")])
    assert response.body == b"three"


async def test_a_key_that_names_the_credential(asking: Asking) -> None:
    await asking.miss("/mine/page", body=b"alice's", fields=ALICE)
    await asking.miss("/mine/page", body=b"bob's", fields=BOB)
    await asking.miss("/mine/page", body=b"anybody's")
    assert (await asking.hit("/mine/page", fields=ALICE)).body == b"alice's"
    assert (await asking.hit("/mine/page", fields=BOB)).body == b"bob's"
    assert (await asking.hit("/mine/page")).body == b"anybody's"


async def test_no_cookie_is_stored(asking: Asking) -> None:
    for body in (b"one", b"two"):
        _, response = await asking.miss("/kept/sets", FRESH, b"Set-Cookie: session=1", body=body)
        assert (response.body, response.value("set-cookie")) == (body, b"session=1")


# bodies in the key


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
