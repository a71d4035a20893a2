"""Reload by SIGHUP and by the file's changing: whole or not at all, and no request notices."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.client import Client, fetch
from tests.support.config import config
from tests.support.config_map import ConfigMap
from tests.support.gateway import Gateway, until
from tests.support.message import Request
from tests.support.origin import Origin, ok
from tests.wire.conftest import Start


def routes(*paths: str, **more: Any) -> dict[str, Any]:
    return {"ingress": {"routes": [{"path": path, "upstream": "app"} for path in paths], **more}}


def reloads(gateway: Gateway) -> int:
    return sum(event["event"] in ("config_reloaded", "config_refused") for event in gateway.events)


async def serves(gateway: Gateway, path: str) -> None:
    """Wait until that route is there."""
    for _ in range(100):
        if (await fetch(gateway.ingress, "GET", path)).status == 200:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{path} is not served:\n{gateway.stderr}")


async def test_sighup(start: Start, origin: Origin) -> None:
    gateway = await start(**routes("/old"))
    async with await Client.connect(gateway.ingress) as client:
        assert (await client.request("GET", "/old")).status == 200
        gateway.write(config(origin.address, **routes("/new")))
        gateway.sighup()
        await gateway.event(event="config_reloaded")
        assert (await client.request("GET", "/new")).status == 200  # on a connection from before
        assert (await client.request("GET", "/old")).status == 404
    assert len(origin.connections) == 1  # an upstream that is the same keeps its connections
    assert await gateway.metric("gateway_config_last_reload_successful") == 1


async def test_the_file_replaced(start: Start, origin: Origin) -> None:
    gateway = await start(**routes("/old"))
    gateway.write(config(origin.address, **routes("/new")))
    await gateway.event(event="config_reloaded")
    assert (await fetch(gateway.ingress, "GET", "/new")).status == 200


async def test_the_file_written_in_place(start: Start, origin: Origin) -> None:
    gateway = await start(**routes("/old"))
    gateway.path.write_text(yaml.safe_dump(config(origin.address, **routes("/new"))))
    await gateway.event(event="config_reloaded")
    assert (await fetch(gateway.ingress, "GET", "/new")).status == 200


async def test_a_symlink_swapped_as_a_configmap_does(origin: Origin, tmp_path: Path) -> None:
    mounted = ConfigMap(tmp_path / "mounted", config(origin.address, **routes("/1")))
    gateway = Gateway(tmp_path, None, "run", "--config", str(mounted.path))
    try:
        await asyncio.to_thread(gateway.start)
        for version in (2, 3):
            mounted.swap(config(origin.address, **routes(f"/{version}")))
            await until(lambda: reloads(gateway) == version - 1, "the reload")  # noqa: B023
            assert (await fetch(gateway.ingress, "GET", f"/{version}")).status == 200
            assert (await fetch(gateway.ingress, "GET", f"/{version - 1}")).status == 404
    finally:
        await asyncio.to_thread(gateway.stop)


async def test_a_secret_swapped_as_kubelet_does(origin: Origin, tmp_path: Path) -> None:
    """The config is the same and in another folder; only what `${file:...}` names has changed."""

    def publish(version: int, **secrets: str) -> None:
        directory = tmp_path / "secrets" / f"..version-{version}"
        directory.mkdir(parents=True)
        for name, text in secrets.items():
            (directory / name).write_text(text)
            if not (link := tmp_path / "secrets" / name).is_symlink():
                link.symlink_to(f"..data/{name}")
        fresh = tmp_path / "secrets" / "..data_tmp"
        fresh.symlink_to(directory.name)
        fresh.rename(tmp_path / "secrets" / "..data")

    async def key() -> bytes | None:
        await fetch(gateway.egress, "GET", "/provider/any")
        return origin.requests[-1].value("Authorization")

    publish(1, key="first")
    content = config(origin.address, upstream={"preset": "openai", "api_key": "${file:secrets/key}"})
    gateway = Gateway(tmp_path, content)
    try:
        await asyncio.to_thread(gateway.start)
        assert await key() == b"Bearer first"
        publish(2, key="second")
        await until(lambda: reloads(gateway) == 1, "the reload")
        assert await key() == b"Bearer second"

        # A config that is there before the secret that it names is refused, and taken up when that comes.
        gateway.write(config(origin.address, upstream={"preset": "openai", "api_key": "${file:secrets/other}"}))
        await gateway.event(event="config_refused")
        assert await key() == b"Bearer second"
        publish(3, key="second", other="third")
        await until(lambda: reloads(gateway) == 3, "the reload")
        assert await key() == b"Bearer third"
        assert "third" not in gateway.stderr
    finally:
        await asyncio.to_thread(gateway.stop)


@pytest.mark.parametrize(
    "wrong",
    [
        "ingress: [",
        "",
        "ingress:\n  rutes: []\n",
        "ingress:\n  bind: 127.0.0.1:0\n  routes: [{path: /new, upstream: nobody}]\n",
        "ingress: {rate_limit: often, routes: [{path: /a, upstream: app}]}\nupstreams: {app: {url: 'http://127.0.0.1:1'}}\n",
    ],
)
async def test_a_wrong_one_is_logged_and_the_old_one_stays(start: Start, origin: Origin, wrong: str) -> None:
    gateway = await start(**routes("/old"))
    gateway.path.write_text(wrong)
    gateway.sighup()
    event = await gateway.event(event="config_refused")
    assert event["level"] == "error"
    assert str(gateway.path) in json.dumps(event)
    assert (await fetch(gateway.ingress, "GET", "/old")).status == 200
    assert await gateway.metric("gateway_config_last_reload_successful") == 0
    assert (await gateway.get("/readyz")).status == 200
    gateway.write(config(origin.address, **routes("/new")))
    await gateway.event(event="config_reloaded")
    assert (await fetch(gateway.ingress, "GET", "/new")).status == 200


async def test_an_address_that_cannot_be_had_changes_nothing(start: Start, origin: Origin) -> None:
    gateway = await start(**routes("/old"))
    taken = f"127.0.0.1:{origin.address[1]}"
    gateway.write(config(origin.address, **routes("/new", bind=taken)))
    gateway.sighup()
    await gateway.event(event="config_refused")
    assert (await fetch(gateway.ingress, "GET", "/old")).status == 200
    assert (await fetch(gateway.ingress, "GET", "/new")).status == 404


async def test_a_file_that_is_gone_changes_nothing(start: Start, origin: Origin) -> None:
    gateway = await start(**routes("/old"))
    gateway.path.unlink()
    gateway.sighup()
    await gateway.event(event="config_refused")
    assert (await fetch(gateway.ingress, "GET", "/old")).status == 200


async def test_what_is_in_flight_ends_as_it_began(start: Start, origin: Origin) -> None:
    gateway = await start(**routes("/old"))
    origin.hold()
    async with await Client.connect(gateway.ingress) as client:
        client.ask("GET", "/old")
        upstream, _ = await origin.request()
        async with Origin() as other:
            gateway.write(config(other.address, **routes("/new")))
            gateway.sighup()
            await gateway.event(event="config_reloaded")
            upstream.send(ok(b"from before"))
            assert (await client.response()).body == b"from before"
            assert (await client.request("GET", "/new")).status == 200
            assert len(other.requests) == 1
            assert await upstream.gone()  # the old upstream's connections are let go
            origin.serve()
            gateway.write(config(origin.address, **routes("/again")))
            await serves(gateway, "/again")
            await other.settle()


async def test_a_breaker_outlives_it(start: Start, origin: Origin) -> None:
    breaker = {"breaker": {"failures": 1, "reset": "60s"}}
    gateway = await start(upstream=breaker, **routes("/old"))
    origin.answer = lambda request: b"nonsense\r\n\r\n"
    assert (await fetch(gateway.ingress, "GET", "/old")).status == 502
    gateway.write(config(origin.address, upstream=breaker, **routes("/new")))
    gateway.sighup()
    await gateway.event(event="config_reloaded")
    assert (await fetch(gateway.ingress, "GET", "/new")).status == 503
    assert await gateway.metric("gateway_breaker_state", upstream="app") == 2


async def test_new_limits_timeouts_and_names(start: Start, origin: Origin) -> None:
    gateway = await start(**routes("/old"))
    async with await Client.connect(gateway.ingress) as client:
        assert (await client.request("GET", "/old")).status == 200
        changed = config(
            origin.address,
            upstream={"timeout": {"headers": "100ms"}},
            correlation={"header": "X-Request-ID"},
            **routes("/old", limits={"header_count": 3}),
        )
        gateway.write(changed)
        gateway.sighup()
        await gateway.event(event="config_reloaded")
        never = asyncio.Event()

        async def answer(request: Request) -> bytes:
            await never.wait()
            return ok()

        origin.answer = answer
        response = await client.request("GET", "/old")  # on a connection from before
        assert response.status == 504
        assert "x-request-id" in response.names()
        assert (await client.request("GET", "/old", [("A", "b")] * 3)).status == 431


async def test_every_few_moments_under_load(start: Start, origin: Origin) -> None:
    gateway = await start(**routes("/a", "/1"))
    stop = False

    async def answer(request: Request) -> bytes:
        await asyncio.sleep(0.002)
        return ok(request.target)

    async def client() -> int:
        count = 0
        async with await Client.connect(gateway.ingress) as connection:
            while not stop:
                response = await connection.request("GET", "/a")
                assert (response.status, response.body) == (200, b"/a")
                count += 1
        return count

    origin.answer = answer
    clients = [asyncio.create_task(client()) for _ in range(10)]
    for number in range(2, 8):
        gateway.write(config(origin.address, **routes(f"/{number}", "/a")))
        gateway.sighup()
        before = reloads(gateway)
        await until(lambda: reloads(gateway) > before, "the reload")  # noqa: B023
    stop = True
    assert sum(await asyncio.gather(*clients)) > 50
    assert {event["event"] for event in gateway.events} <= {"listening", "ready", "config_reloaded", "config"}
