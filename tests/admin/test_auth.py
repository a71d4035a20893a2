"""Who may use the API: the token, the Host, and what browsers say of the page behind a request."""

from __future__ import annotations

import pytest

from gateway.admin.auth import Gatekeeper
from tests.admin.conftest import TOKEN, Running, parse


def judged(fields: list[tuple[str, str]], host: str = "127.0.0.1", token: str | None = None) -> int:
    """The refusal's status, 0 for none."""

    def values(name: str) -> list[str]:
        return [value for other, value in fields if other.lower() == name.lower()]

    refusal = Gatekeeper(host, token).judge(values)
    return 0 if refusal is None else refusal.status


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:9091",
        "10.1.2.3:9091",
        "[::1]:9091",
        "[2001:db8::1]",
        "localhost",
        "LocalHost:9091",
        "admin.internal:9091",
        "ADMIN.internal",
    ],
)
def test_hosts_that_are_ours(host: str) -> None:
    assert judged([("Host", host)], host="admin.internal") == 0


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9091",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.1",
        "0x7f000001",
        "2130706433",
        "127.0.0.1:9091@evil.example",
        "evil.example#127.0.0.1",
        "127.0.0.1,evil.example",
        "[::1",
        "[evil]",
        "",
        " ",
        "127.0.0.1:port",
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_name_that_was_made_to_lead_here_is_refused_with_or_without_the_token(host: str, token: str | None) -> None:
    assert judged([("Host", host), ("Authorization", f"Bearer {TOKEN}")], token=token) == 421


def test_an_address_for_all_interfaces_is_no_name() -> None:
    assert judged([("Host", "evil.example")], host="") == 421
    assert judged([("Host", "evil.example")], host="0.0.0.0") == 421


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1", "evil.example"], ["127.0.0.1", "127.0.0.1"]])
def test_there_is_one_host(hosts: list[str]) -> None:
    assert judged([("Host", host) for host in hosts]) == 400


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Origin", "http://127.0.0.1:9091", 0),
        ("Origin", "https://127.0.0.1:9091", 0),
        ("Origin", "http://127.0.0.1:3000", 403),
        ("Origin", "http://localhost:9091", 403),
        ("Origin", "http://127.0.0.1", 403),
        ("Origin", "https://evil.example", 403),
        ("Origin", "null", 403),
        ("Origin", "", 403),
        ("Sec-Fetch-Site", "none", 0),
        ("Sec-Fetch-Site", "same-origin", 0),
        ("Sec-Fetch-Site", "same-site", 403),
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Sec-Fetch-Site", "whatever", 403),
    ],
)
def test_what_a_browser_says(name: str, value: str, status: int) -> None:
    assert judged([("Host", "127.0.0.1:9091"), (name, value)]) == status


def test_one_foreign_origin_among_several_is_enough() -> None:
    host = ("Host", "127.0.0.1:9091")
    ours, theirs = ("Origin", "http://127.0.0.1:9091"), ("Origin", "http://evil.example")
    assert judged([host, ours, theirs]) == judged([host, theirs, ours]) == 403


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_token_lets_in(scheme: str) -> None:
    assert judged([("Host", "localhost"), ("Authorization", f"{scheme} {TOKEN}")], token=TOKEN) == 0


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        [f"Bearer {TOKEN[:-1]}"],
        [f"Bearer {TOKEN}x"],
        [f"Bearer {TOKEN.upper()}"],
        [TOKEN],
        [f"Basic {TOKEN}"],
        [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
        ["Bearer \udcff\udcfe"],
        [f"Bearer {'x' * 8000}"],
    ],
)
def test_anything_else_does_not(values: list[str]) -> None:
    fields = [("Host", "localhost"), *(("Authorization", value) for value in values)]
    assert judged(fields, token=TOKEN) == 401
    assert judged(fields) == 0, "where none is set, none is asked for"


# over sockets


async def test_a_401_says_how_and_is_told(guarded: Running) -> None:
    said = await guarded.ask("GET", "/api/v1/breakers", fields={"Authorization": "Bearer wrong"})
    assert said.status == 401
    assert said.fields["WWW-Authenticate"] == 'Bearer realm="gateway", error="invalid_token"'
    assert said.fields["Content-Type"] == "application/problem+json"
    assert said.fields["Cache-Control"] == "no-store"
    assert b"wrong" not in said.body
    raw = await guarded.raw(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert parse(raw).status == 401
    assert parse(raw).fields["WWW-Authenticate"] == 'Bearer realm="gateway"'
    assert guarded.insides.events.bad_tokens == ["127.0.0.1", "127.0.0.1"]
    assert (await guarded.ask("GET", "/api/v1/breakers")).status == 200
    assert len(guarded.insides.events.bad_tokens) == 2


@pytest.mark.parametrize(
    "head",
    [
        b"POST /api/v1/drain HTTP/1.1\r\nHost: evil.example:%d\r\n",
        b"POST /api/v1/drain HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://evil.example\r\n",
        b"POST /api/v1/drain HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nSec-Fetch-Site: cross-site\r\n",
        b"POST http://127.0.0.1:%d/api/v1/drain HTTP/1.1\r\nHost: evil.example\r\n",
        b"POST /api/v1/drain HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nHost: evil.example\r\n",
        b"POST /api/v1/drain HTTP/1.0\r\nX-Port: %d\r\n",
        b"POST http://evil.example:%d/api/v1/drain HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    ],
)
async def test_no_page_can_drive_it(running: Running, head: bytes) -> None:
    raw = await running.raw(head % running.address[1] + b"Connection: close\r\n\r\n")
    assert parse(raw).status in (400, 403, 404, 421)
    assert running.insides.process.phase == "ready"
    assert running.insides.events.changes == []


async def test_a_page_is_told_nothing_that_it_may_read(running: Running) -> None:
    fields = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    said = await running.ask("OPTIONS", "/api/v1/drain", fields=fields)
    assert said.status == 403
    assert not any(name.lower().startswith("access-control") for name in said.fields)


async def test_another_token_holds_from_the_next_request_on(guarded: Running) -> None:
    guarded.listener.reconfigure("127.0.0.1", "another")
    assert (await guarded.ask("GET", "/api/v1/breakers")).status == 401
    assert (await guarded.ask("GET", "/api/v1/breakers", fields={"Authorization": "Bearer another"})).status == 200
