"""Request guards end to end: what is refused, and that no torn body ever passes for a whole one."""

from __future__ import annotations

import pytest

from tests.support.client import Client, Fields, chunked, fetch, head
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.message import Cut
from tests.support.origin import Origin, ok
from tests.wire.conftest import StartOnce

JSON = ("Content-Type", "application/json")
CHUNKED = ("Transfer-Encoding", "chunked")
EXPECT = ("Expect", "100-continue")
LIMIT = 1000


@pytest.fixture(scope="module")
def guarded(start_once: StartOnce) -> Gateway:
    """Bodies of at most 1000 bytes on all routes but two, one of which takes JSON and fields of its own only."""
    strict = {
        "content_types": ["application/json", "text/*"],
        "required_headers": ["X-User-Id"],
        "max_headers": 6,
        "max_header_size": "200B",
        "max_uri": "20B",
    }
    return start_once(
        ingress={
            "request": {"max_body": f"{LIMIT}B"},
            "routes": [
                {"path": "/strict", "upstream": "app", "request": strict},
                {"path": "/large", "upstream": "app", "request": {"max_body": False}},
                {"path": "/**", "upstream": "app"},
            ],
        }
    )


@pytest.mark.parametrize(
    ("target", "fields", "body", "status", "slug"),
    [
        ("/strict?" + "q" * 13, [], None, 414, "target-too-long"),
        ("/strict", [(f"X-{n}", "") for n in range(5)] + [("X-User-Id", "1")], None, 431, "headers-too-large"),
        ("/strict", [("X-User-Id", "1" * 200)], None, 431, "headers-too-large"),
        ("/strict", [("X-User", "1")], None, 400, "header-missing"),
        ("/strict", [("X-User-Id", "1")], b"{}", 415, "unsupported-media-type"),
        ("/strict", [("X-User-Id", "1"), ("Content-Type", "image/png")], b"{}", 415, "unsupported-media-type"),
        ("/strict", [("X-User-Id", "1"), JSON], b"x" * (LIMIT + 1), 413, "content-too-large"),
        ("/any", [], b"x" * (LIMIT + 1), 413, "content-too-large"),
    ],
)
async def test_refusals(
    guarded: Gateway, origin: Origin, target: str, fields: Fields, body: bytes | None, status: int, slug: str
) -> None:
    response = await fetch(guarded.ingress, "POST", target, fields, body)
    problem = assert_problem(response, status, "http_request_error")
    assert problem["type"].endswith(f":{slug}")
    assert (response.value("accept") == b"application/json, text/*") == (status == 415)
    assert ("X-User-Id" in problem["detail"]) == (status == 400)
    line = await guarded.access_line(correlation_id=problem["correlation_id"])
    assert (line["status"], line["error"]) == (status, slug)
    assert origin.connections == []


@pytest.mark.parametrize(
    ("target", "fields", "body"),
    [
        ("/strict?" + "q" * 12, [("x-user-id", "1")], None),
        ("/strict", [("X-User-Id", "1"), ("content-type", "Application/JSON;charset=utf-8")], b"x" * LIMIT),
        ("/strict", [("X-User-Id", "1"), ("Content-Type", "text/csv")], b"a,b"),
        ("/strict", [("X-User-Id", "1"), ("Content-Type", "image/png")], None),
        ("/any", [], b"x" * LIMIT),
        ("/large", [], b"x" * 10 * LIMIT),
    ],
)
async def test_what_keeps_to_them_passes(
    guarded: Gateway, origin: Origin, target: str, fields: Fields, body: bytes | None
) -> None:
    response = await fetch(guarded.ingress, "POST", target, fields, body)
    assert response.status == 200
    assert origin.requests[0].body == (body or b"")


@pytest.mark.parametrize(
    ("target", "framing", "status"),
    [
        ("/any", ("Content-Length", str(LIMIT + 1)), 413),
        ("/strict", ("Content-Length", "5"), 400),
        ("/strict", CHUNKED, 400),
    ],
)
async def test_who_asks_for_leave_gets_the_refusal_and_no_leave(
    guarded: Gateway, origin: Origin, target: str, framing: tuple[str, str], status: int
) -> None:
    async with await Client.connect(guarded.ingress) as client:
        client.send(head("POST", target, [EXPECT, framing]))
        response = await client.response()
        assert_problem(response, status)
        assert response.informational == []
        assert response.closes
        assert await client.wire.end() == "fin"
    assert origin.connections == []


async def test_a_refused_get_leaves_the_connection_open(guarded: Gateway, origin: Origin) -> None:
    async with await Client.connect(guarded.ingress) as client:
        assert_problem(await client.request("GET", "/strict"), 400)
        assert (await client.request("GET", "/any")).status == 200


# ---- chunked bodies


@pytest.mark.parametrize("pieces", [[b"x" * LIMIT], [b"x"] * LIMIT, [b"x" * (LIMIT - 1), b"x"]])
async def test_a_chunked_body_up_to_the_limit(guarded: Gateway, origin: Origin, pieces: list[bytes]) -> None:
    async with await Client.connect(guarded.ingress) as client:
        client.send(head("POST", "/any", [CHUNKED]) + chunked(*pieces))
        assert (await client.response()).status == 200
        assert origin.requests[0].body == b"x" * LIMIT
        assert (await client.request("GET", "/any")).status == 200


async def test_one_that_is_too_large_in_one_read(guarded: Gateway, origin: Origin) -> None:
    """It is all here when the guard is asked, so where the next request begins is known."""
    async with await Client.connect(guarded.ingress) as client:
        client.send(head("POST", "/any", [CHUNKED]) + chunked(b"x" * (LIMIT + 1)) + head("GET", "/next"))
        response = await client.response()
        assert_problem(response, 413, "http_request_error")
        assert not response.closes
        assert (await client.response()).status == 200
    assert [request.target for request in origin.requests] == [b"/next"]


async def test_one_that_grows_too_large(guarded: Gateway, origin: Origin) -> None:
    """What the upstream has of it never gets an end."""
    origin.hold()
    async with await Client.connect(guarded.ingress) as client:
        client.send(head("POST", "/any", [CHUNKED]) + b"%x\r\n%b\r\n" % (LIMIT, b"x" * LIMIT))
        upstream = await origin.accept()
        body = upstream.body(await upstream.head())
        assert await body.read(LIMIT) == b"x" * LIMIT
        client.send(b"1\r\ny\r\n0\r\nX-Trailer: 1\r\n\r\n" + head("GET", "/smuggled"))
        response = await client.response()
        problem = assert_problem(response, 413)
        assert problem["type"].endswith(":content-too-large")
        assert response.closes
        assert await client.wire.read_to_end() == b""
        assert await upstream.gone()
        with pytest.raises(Cut):
            await body.rest()
    assert not upstream.received.endswith(b"0\r\n\r\n")
    assert b"y" not in upstream.received.partition(b"x" * LIMIT)[2]
    assert len(origin.connections) == 1
    line = await guarded.access_line(correlation_id=problem["correlation_id"])
    assert (line["status"], line["error"]) == (413, "content-too-large")


@pytest.mark.parametrize("length", [b"Content-Length: 100", b"Transfer-Encoding: chunked", b"Connection: close"])
async def test_one_that_grows_too_large_behind_a_response_that_has_begun(
    guarded: Gateway, origin: Origin, length: bytes
) -> None:
    """That is cut, and never looks whole."""
    origin.hold()
    async with await Client.connect(guarded.ingress) as client:
        client.send(head("POST", "/any", [CHUNKED]) + b"1\r\nx\r\n")
        upstream = await origin.accept()
        await upstream.head()
        upstream.send(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n5\r\nbegun\r\n")
        await client.wire.wait(lambda: b"begun\r\n" in client.wire.received, "the response's beginning")
        client.send(b"%x\r\n%b\r\n" % (LIMIT, b"x" * LIMIT))
        with pytest.raises(Cut):
            await client.response()
        assert await upstream.gone()
    assert not upstream.received.endswith(b"0\r\n\r\n")


async def test_a_client_that_goes_on_sending_still_sees_the_refusal(guarded: Gateway, origin: Origin) -> None:
    async with await Client.connect(guarded.ingress) as client:
        client.send(head("POST", "/any", [CHUNKED]))
        for _ in range(20):
            client.send(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
            await client.wire.drain()
        assert_problem(await client.response(), 413)
        assert await client.wire.end() == "fin"


async def test_a_route_without_the_guard_takes_any_chunked_body(guarded: Gateway, origin: Origin) -> None:
    async with await Client.connect(guarded.ingress) as client:
        client.send(head("POST", "/large", [CHUNKED]) + chunked(*[b"x" * 10_000] * 50))
        assert (await client.response()).status == 200
    assert len(origin.requests[0].body) == 500_000


async def test_nothing_is_left_in_flight(guarded: Gateway, origin: Origin) -> None:
    origin.answer = lambda request: ok()
    await fetch(guarded.ingress, "GET", "/any")
    await guarded.metric_is(0, "gateway_in_flight")
