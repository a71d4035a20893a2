"""Who the client is: trusted proxies are believed, walking from the right; nobody else. X-Forwarded-* and Host."""

from __future__ import annotations

import json

import pytest

from tests.support.client import Fields, fetch
from tests.support.expect import assert_problem
from tests.support.gateway import Gateway
from tests.support.message import Request
from tests.support.origin import Origin
from tests.wire.conftest import Start, StartOnce

TRUSTED, UNTRUSTED = "127.0.0.2", "127.0.0.1"  # all of 127/8 is loopback, so a test may come from either


@pytest.fixture(scope="module")
def proxied(start_once: StartOnce) -> Gateway:
    """Behind proxies at 127.0.0.2, in 10/8 and in an IPv6 network."""
    return start_once(ingress={"trusted_proxies": ["127.0.0.2", "10.0.0.0/8", "2001:db8:1::/48"]})


async def ask(gateway: Gateway, origin: Origin, source: str, fields: Fields) -> tuple[Request, str]:
    """What the origin saw of a request from that address, and the client in the access line."""
    response = await fetch(gateway.ingress, "GET", "/", fields, source=source)
    assert response.status == 200
    line = await gateway.access_line(correlation_id=response.values("x-correlation-id")[0].decode())
    return origin.requests[-1], line["client"]


LIES = [
    ("X-Forwarded-For", "203.0.113.9"),
    ("x-forwarded-for", "203.0.113.10"),
    ("X_Forwarded_For", "203.0.113.11"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "bank.example"),
    ("Forwarded", "for=203.0.113.12;proto=https;host=bank.example"),
]


async def test_an_untrusted_peer_is_never_believed(proxied: Gateway, origin: Origin) -> None:
    request, client = await ask(proxied, origin, UNTRUSTED, LIES)
    assert client == UNTRUSTED
    assert request.value("x-forwarded-for") == UNTRUSTED.encode()
    assert request.value("x-forwarded-proto") == b"http"
    assert request.value("x-forwarded-host") == b"test.example"
    assert b"203.0.113" not in request.raw
    assert b"bank.example" not in request.raw


async def test_nobody_is_trusted_by_default(gateway: Gateway, origin: Origin) -> None:
    for source in (UNTRUSTED, TRUSTED):
        request, client = await ask(gateway, origin, source, LIES)
        assert client == source
        assert request.value("x-forwarded-for") == source.encode()


async def test_one_warning_when_a_private_peers_fields_are_dropped(start: Start, origin: Origin) -> None:
    gateway = await start()
    for _ in range(3):
        await ask(gateway, origin, UNTRUSTED, LIES)
    warnings = [event for event in gateway.events if "trusted_proxies" in json.dumps(event)]
    assert [event["level"] for event in warnings] == ["warning"]


async def test_a_request_without_them_gets_them(proxied: Gateway, origin: Origin) -> None:
    for source in (UNTRUSTED, TRUSTED):
        request, client = await ask(proxied, origin, source, [])
        assert client == source
        assert request.value("x-forwarded-for") == source.encode()
        assert request.value("x-forwarded-proto") == b"http"
        assert request.value("x-forwarded-host") == b"test.example"


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        (["1.1.1.1,203.0.113.9 ,10.1.2.3,\t10.0.0.1"], "203.0.113.9"),
        (["1.1.1.1", "203.0.113.9", "10.1.2.3"], "203.0.113.9"),
        (["10.1.2.3, 10.1.2.4"], "10.1.2.3"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["2001:db8::9"], "2001:db8::9"),
        (["2001:DB8:0::9"], "2001:db8::9"),
        (["[2001:db8::9]:4711"], "2001:db8::9"),
        (["203.0.113.9, 2001:db8:1::5"], "203.0.113.9"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, ::ffff:10.1.2.3"], "203.0.113.9"),
        (["203.0.113.9, unknown"], TRUSTED),
        (["203.0.113.9, unknown, 10.1.2.3"], "10.1.2.3"),
        (["203.0.113.9, <script>"], TRUSTED),
        (["999.1.1.1"], TRUSTED),
        ([""], TRUSTED),
    ],
)
async def test_x_forwarded_for_is_walked_from_the_right(
    proxied: Gateway, origin: Origin, fields: list[str], client: str
) -> None:
    request, seen = await ask(proxied, origin, TRUSTED, [("X-Forwarded-For", value) for value in fields])
    assert seen == client
    passed = b",".join(request.values("x-forwarded-for"))
    hops = [hop.strip() for hop in passed.split(b",")]
    sent = [hop.strip().encode() for value in fields for hop in value.split(",") if hop.strip()]
    assert hops == [*sent, TRUSTED.encode()]


@pytest.mark.parametrize(
    ("fields", "client"),
    [
        (["for=203.0.113.9"], "203.0.113.9"),
        (["For=203.0.113.9;Proto=https;by=10.0.0.1"], "203.0.113.9"),
        (['for="203.0.113.9:4711"'], "203.0.113.9"),
        (['for="[2001:db8::9]:4711"'], "2001:db8::9"),
        (['for="[2001:db8::9]"'], "2001:db8::9"),
        (["for=1.1.1.1, for=203.0.113.9, for=10.1.2.3"], "203.0.113.9"),
        (["for=1.1.1.1", "for=203.0.113.9", 'for="10.1.2.3"'], "203.0.113.9"),
        (['for="2\\03.0.113.9"'], "203.0.113.9"),
        (['for=1.1.1.1;host="a,for=6.6.6.6", for=203.0.113.9'], "203.0.113.9"),
        (["for=203.0.113.9, for=_hidden"], TRUSTED),
        (["for=203.0.113.9, for=unknown, for=10.1.2.3"], "10.1.2.3"),
        (['for="_SEVKISEK:_p0rt"'], TRUSTED),
        (["proto=https"], TRUSTED),
        (['for="203.0.113.9'], TRUSTED),
        (["for=[2001:db8::9]"], TRUSTED),
    ],
)
async def test_forwarded_is_walked_from_the_right(
    proxied: Gateway, origin: Origin, fields: list[str], client: str
) -> None:
    _, seen = await ask(proxied, origin, TRUSTED, [("Forwarded", value) for value in fields])
    assert seen == client


async def test_a_trusted_peers_proto_and_host_are_kept(proxied: Gateway, origin: Origin) -> None:
    fields = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example")]
    request, _ = await ask(proxied, origin, TRUSTED, fields)
    assert request.value("x-forwarded-proto") == b"https"
    assert request.value("x-forwarded-host") == b"shop.example"
    assert request.value("host") == b"test.example"


async def test_a_proxy_further_left_is_not_believed(proxied: Gateway, origin: Origin) -> None:
    """What an untrusted hop says stands to its left, however it looks."""
    _, client = await ask(proxied, origin, TRUSTED, [("X-Forwarded-For", "10.9.9.9, 203.0.113.66, 10.1.2.3")])
    assert client == "203.0.113.66"


async def test_very_long_chains_do_no_harm(proxied: Gateway, origin: Origin) -> None:
    fields = [("X-Forwarded-For", ", ".join(["10.1.2.3"] * 1000))]
    request, client = await ask(proxied, origin, TRUSTED, fields)
    assert client == "10.1.2.3"
    assert request.values("x-forwarded-for")[-1].endswith(TRUSTED.encode())


# Host, and the other side


@pytest.mark.parametrize("host", ["Shop.EXAMPLE:8080", "[::1]:80", "a", ""])
async def test_ingress_keeps_the_host(gateway: Gateway, origin: Origin, host: str) -> None:
    assert (await fetch(gateway.ingress, "GET", "/", host=host)).status == 200
    assert origin.requests[0].value("host") == host.encode()
    if host:
        assert origin.requests[0].value("x-forwarded-host") == host.encode()


async def test_egress_sends_the_upstreams_host_and_adds_nothing(gateway: Gateway, origin: Origin) -> None:
    assert (await fetch(gateway.egress, "GET", "/provider/v1", host="127.0.0.1:8081")).status == 200
    (request,) = origin.requests
    assert request.value("host") == f"{origin.address[0]}:{origin.address[1]}".encode()
    assert not [name for name in request.names() if "forwarded" in name]


async def test_egress_has_only_its_own_routes(gateway: Gateway, origin: Origin) -> None:
    assert_problem(await fetch(gateway.egress, "GET", "/other"), 404)
    assert_problem(await fetch(gateway.egress, "GET", "/provider/../other"), 404)
    assert origin.connections == []
