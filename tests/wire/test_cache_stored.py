"""What is kept, over sockets: for whom it answers, in which form, and what ends it."""

from __future__ import annotations

import pytest

from tests.support.client import Client
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.wire.stage import Asking, Stage, told

FRESH = b"Cache-Control: max-age=60"
BODY = bytes(range(256)) * 4


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


async def test_trailers_are_announced_only_where_they_come(asking: Asking) -> None:
    asking.client.ask("GET", "/plain/trailers")
    call = await asking.stage.call()
    call.begin(FRESH, b"Trailer: X-Sum")
    call.chunk(b"body")
    call.send(b"0\r\nX-Sum: 1\r\n\r\n")
    await asking.client.response()
    response = await asking.hit("/plain/trailers")
    assert (response.body, response.value("trailer"), response.value("content-length")) == (b"body", None, b"4")
