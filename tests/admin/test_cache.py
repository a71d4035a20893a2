"""The cache over the API: what is seen of it, and every way to purge and to warm."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.admin.conftest import TOKEN, Running, Said
from tests.admin.test_listener import assert_problem

API = "/api/v1"


async def test_what_it_holds_and_finds(running: Running) -> None:
    stats = await running.get(f"{API}/cache")
    assert [tier["tier"] for tier in stats["tiers"]] == ["memory", "redis"]
    assert stats["routes"][0]["results"]["hit"] == 90
    assert stats["warming"]["state"] == "idle"


async def test_the_hottest_and_the_coldest(running: Running) -> None:
    top = await running.get(f"{API}/cache/top?n=2")
    assert [key["hits"] for key in top["hottest"]] == [4, 3]
    assert [key["hits"] for key in top["coldest"]] == [0, 1]
    assert len((await running.get(f"{API}/cache/top"))["hottest"]) == 5
    for number in ("0", "1000", "-1", "x", ""):
        assert_problem(await running.ask("GET", f"{API}/cache/top?n={number}"), 400)


@pytest.mark.parametrize(
    ("body", "asked", "purged"),
    [
        ({"tag": "models"}, ("tag", "models", False), 5),
        ({"url": "/models/1"}, ("url", "/models/1", False), 1),
        (
            {"url": "https://shop.example:8443/models/1", "soft": True},
            ("url", "https://shop.example:8443/models/1", True),
            1,
        ),
        ({"url": "http://[::1]:8080/"}, ("url", "http://[::1]:8080/", False), 0),
        ({"url": "http://shop.example"}, ("url", "http://shop.example", False), 0),
        ({"url": "http://shop.example?a"}, ("url", "http://shop.example?a", False), 0),
        ({"pattern": "/models/*?page=*", "soft": False}, ("pattern", "/models/*?page=*", False), 0),
        ({"key": "00ff"}, ("key", "00ff", False), 0),
        ({"all": True}, ("all", "", False), 5),
    ],
)
async def test_purging(running: Running, body: dict[str, Any], asked: tuple[str, str, bool], purged: int) -> None:
    said = await running.ask("POST", f"{API}/cache/purge", body)
    assert (said.status, said.json["purged"], said.json["soft"]) == (200, purged, asked[2])
    assert running.insides.cache.asked == [asked]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"soft": True},
        {"tag": "a", "all": True},
        {"all": False},
        {"all": "true"},
        {"tag": ""},
        {"tag": "a b"},
        {"tag": 1},
        {"tag": "a", "soft": "yes"},
        {"url": "models"},
        {"url": "ftp://shop.example/"},
        {"url": "http:///models"},
        {"url": "http://user:secret@shop.example/"},
        {"url": "/models#top"},
        {"url": "/mod els"},
        {"url": "/ü"},
        {"pattern": "models/*"},
        {"host": "shop.example", "url": "/"},
        [],
    ],
)
async def test_what_is_no_purge(running: Running, body: Any) -> None:
    said = await running.ask("POST", f"{API}/cache/purge", data=json.dumps(body).encode())
    problem = assert_problem(said, 400)
    assert problem["errors"]
    assert "secret" not in said.body.decode()
    assert running.insides.cache.asked == []


async def test_a_line_tells_of_a_purge_but_not_of_a_query(running: Running) -> None:
    await running.ask("POST", f"{API}/cache/purge", {"url": "/models?token=secret"})
    await running.ask("PURGE", "/models?token=secret")
    assert running.insides.events.changes == [("127.0.0.1", "purgeCache", {"url": "/models"})] * 2


# the method PURGE


async def purge(running: Running, target: str, host: str = "", **fields: str) -> Said:
    own = {"Host": host} if host else {}
    return await running.ask("PURGE", target, fields={**own, **{k.replace("_", "-"): v for k, v in fields.items()}})


@pytest.mark.parametrize(
    ("target", "host", "url", "soft"),
    [
        ("/models/1", "", "/models/1", False),
        ("/models/1", "localhost", "/models/1", False),
        ("/models/1", "[::1]:9091", "/models/1", False),
        ("/models/1?a=b", "shop.example", "http://shop.example/models/1?a=b", False),
        ("/models/1", "shop.example:443", "https://shop.example:443/models/1", False),
        ("https://shop.example/models/1", "", "https://shop.example/models/1", False),
        ("http://shop.example/models/1", "other.example", "http://shop.example/models/1", False),
        ("/models/1?soft=1", "", "/models/1", True),
        ("/models/1?a=b&soft=1", "", "/models/1?a=b", True),
        ("/models/1?soft=1&a=b", "", "/models/1?soft=1&a=b", False),
        ("/api/v1/cache", "", "/api/v1/cache", False),
    ],
)
async def test_purge_as_a_method(running: Running, target: str, host: str, url: str, soft: bool) -> None:
    said = await purge(running, target, host)
    assert said.status == 200
    assert said.json["purged"] == (1 if "/models/1" in url and "?" not in url else 0)
    assert said.json["soft"] is soft
    assert running.insides.cache.asked == [("url", url, soft)]


async def test_purge_may_be_soft_by_a_field(running: Running) -> None:
    assert (await purge(running, "/models/1", Soft_Purge="1")).json["soft"] is True
    assert (await purge(running, "/models/2", Soft_Purge="0")).json["soft"] is False


@pytest.mark.parametrize("target", ["*", "ftp://shop.example/", "/ü", "http:///x"])
async def test_what_cannot_be_purged(running: Running, target: str) -> None:
    said = await purge(running, target)
    assert said.status == 400
    assert running.insides.cache.asked == []


@pytest.mark.parametrize(
    "fields",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        # A page whose own name was made to lead here has this very Host.
        {"Host": "evil.example:9091", "Origin": "http://evil.example:9091"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_no_page_purges(running: Running, fields: dict[str, str]) -> None:
    assert_problem(await running.ask("PURGE", "/models/1", fields=fields), 403)
    assert running.insides.cache.asked == []


async def test_purge_needs_the_token(guarded: Running) -> None:
    for fields in ({"Authorization": "Bearer no"}, {"Authorization": "Bearer no", "Host": "shop.example"}):
        assert_problem(await guarded.ask("PURGE", "/models/1", fields=fields), 401)
    assert guarded.insides.cache.asked == []
    assert guarded.insides.events.bad_tokens == ["127.0.0.1"] * 2
    fields = {"Authorization": f"Bearer {TOKEN}", "Host": "shop.example"}
    assert (await guarded.ask("PURGE", "/models/1", fields=fields)).status == 200


async def test_other_methods_may_not_name_another_host(running: Running) -> None:
    for method in ("GET", "POST", "purge"):
        assert (await running.ask(method, f"{API}/cache/purge", fields={"Host": "shop.example"})).status in (400, 421)
    assert running.insides.cache.asked == []


# warming


async def test_warming_is_begun_and_watched(running: Running) -> None:
    said = await running.ask("POST", f"{API}/cache/warm", {"urls": ["/a", "https://shop.example/b?c=d"]})
    assert (said.status, said.json["state"], said.json["total"], said.json["left"]) == (202, "running", 2, 2)
    half = await running.get(f"{API}/cache/warm")
    assert (half["done"], half["left"], half["estimate"]) == (1, 1, 0.5)
    assert (await running.get(f"{API}/cache/warm"))["state"] == "done"
    assert [change[1:] for change in running.insides.events.changes] == [("warmCache", {})]


async def test_without_a_body_the_config_s_are_warmed(running: Running) -> None:
    for body in (None, {}):
        assert_problem(await running.ask("POST", f"{API}/cache/warm", body), 409)
    running.insides.cache.listed = ["/a"]
    for body in (None, {}):
        assert (await running.ask("POST", f"{API}/cache/warm", body)).status == 202
    assert running.insides.cache.named == ["/a", "/a"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"urls": []}, "/urls"),
        ({"urls": ["/a"] * 26}, "/urls"),
        ({"urls": "/a"}, "/urls"),
        ({"urls": ["/a", 1]}, "/urls/1"),
        ({"urls": ["/a", "/b", "c"]}, "/urls/2"),
        ({"url": "/a"}, ""),
    ],
)
async def test_what_cannot_be_warmed(running: Running, body: dict[str, Any], pointer: str) -> None:
    problem = assert_problem(await running.ask("POST", f"{API}/cache/warm", body), 400)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
