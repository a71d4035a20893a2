"""Gateways that run for real on what the ConfigMaps hold: their probes' paths answer, and their preStop hook drains
them. Only ports and the app's address are others than in the pod.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from tests.deploy.renderings import KUSTOMIZE, Sidecar, rendered, sidecar
from tests.support.client import fetch
from tests.support.gateway import ROOT, Gateway
from tests.support.kubernetes import Manifest, of_kind
from tests.support.origin import Origin, ok
from tests.support.redis import RedisServer, free_port

Config = dict[str, Any]


def moved(found: Sidecar, folder: Path, **others: Config) -> Gateway:
    """A gateway on a pod's config and secrets, on free ports of loopback."""
    path = found.mounted(folder)
    config = found.config
    for name in ("ingress", "egress", "metrics"):
        if name in config:
            config[name]["bind"] = "127.0.0.1:0"
    config["admin"]["bind"] = f"127.0.0.1:{free_port()}"
    config["drain"] = {"delay": "0s", "timeout": "2s"}
    if "app" in config["upstreams"]:
        config["upstreams"]["app"]["url"] = f"http://127.0.0.1:{free_port()}"  # where nobody listens: no app yet
    for name, section in others.items():
        config[name] = {**config.get(name, {}), **section}
    path.write_text(yaml.safe_dump(config))
    return Gateway(folder, None, *found.container["args"][:2], str(path))


def probes(found: Sidecar) -> dict[str, str]:
    return {name: found.container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}


async def hook(found: Sidecar, folder: Path) -> tuple[int, str]:
    """Run the preStop hook's command, with the config where it is here."""
    program, *arguments = found.container["lifecycle"]["preStop"]["exec"]["command"]
    assert program == "gateway"
    assert arguments[-1] == "/etc/gateway/gateway.yaml"
    command = [sys.executable, "-m", "gateway", *arguments[:-1], str(folder / "gateway.yaml")]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.parametrize("name", ["base", "egress", "chart, everything"])
async def test_it_starts_without_its_app_and_ends_as_in_a_pod(name: str, tmp_path: Path) -> None:
    found = sidecar(name)
    gateway = moved(found, tmp_path).start()
    try:
        for path in probes(found).values():
            assert (await gateway.get(path)).status == 200
        assert b"gateway_config_last_reload_successful 1" in (await gateway.get("/metrics")).body
        if "ingress" in found.config:
            assert (await fetch(gateway.ingress, "GET", "/any")).status == 502
            code, said = await hook(found, tmp_path)
            assert code == 0, said
            assert not gateway.alive or (await gateway.get("/readyz")).status == 503
        if gateway.alive:
            gateway.sigterm()
        assert await gateway.wait() == 0
    finally:
        gateway.kill()
    gateway.check_output()


async def test_a_cache_to_be_warmed_through_the_app_keeps_the_app_from_starting_no_longer(tmp_path: Path) -> None:
    """The app's container starts when the startup probe has answered: a probe that waited for warming would wait for
    ever."""
    found = sidecar("memory")
    warm = {"origin": "http://app.example", "urls": [{"url": "/", "critical": True}], "retries": 10}
    gateway = moved(found, tmp_path, cache={"warm": warm}).spawn()
    try:
        await gateway.event(event="listening", listener="metrics")
        path = probes(found)
        assert (await gateway.get(path["startup"])).status == 200
        assert (await gateway.get(path["liveness"])).status == 200
        assert (await gateway.get(path["readiness"])).status == 503
    finally:
        gateway.kill()


# ---- the overlay with a Valkey beside it

PASSWORD = "correct-horse"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[RedisServer]:
    """A server on the overlay's own configuration and users, with one more user who may look."""
    (found,) = [one for one in of_kind("ConfigMap", list(rendered("redis"))) if "valkey.conf" in one["data"]]
    lines = [line for line in found["data"]["valkey.conf"].splitlines() if line and not line.startswith("#")]
    options = dict(line.split(" ", 1) for line in lines)
    users = (KUSTOMIZE / "overlays/redis/valkey/users.acl").read_text().replace("PASSWORD", PASSWORD)
    acl = tmp_path / "users.acl"
    acl.write_text(f"{users}user looks on nopass ~* &* +@all\n")
    assert {options.pop("port"), options.pop("dir")} == {"6379", "/data"}
    options |= {"aclfile": str(acl), "save": ""}
    with RedisServer(**{name.replace("-", "_"): value for name, value in options.items()}) as server:
        yield server


async def test_the_replicas_valkey_lets_the_gateway_do_all_it_needs_and_nobody_else_anything(
    valkey: RedisServer, tmp_path: Path
) -> None:
    found = sidecar("redis")
    url = found.config["state"]["redis"]
    address = f"redis://gateway:{PASSWORD}@127.0.0.1:{valkey.port}"
    assert (
        url.replace("${file:secrets/redis-password}", PASSWORD).replace("valkey:6379", f"127.0.0.1:{valkey.port}")
        == address
    )
    with pytest.raises(redis.AuthenticationError):
        valkey.client().ping()

    async with Origin() as app:
        app.answer = lambda _: ok(b"kept", b"Cache-Control: max-age=60")
        gateway = moved(found, tmp_path, state={"redis": address, "timeout": "1s"})
        config: Manifest = yaml.safe_load((tmp_path / "gateway.yaml").read_text())
        config["upstreams"]["app"]["url"] = app.url
        (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(config))
        gateway.start()
        try:
            first = await fetch(gateway.ingress, "GET", "/kept")
            assert first.status == 200
            assert first.value("RateLimit")
            await gateway.metric_is(1, "gateway_state_up", backend="redis")
            looks = valkey.client(username="looks", password="any")
            keys = looks.keys("*")
            assert keys
            assert all(key.startswith(b"{gateway}:") for key in keys)
            assert [one for one in looks.acl_log() if one["reason"] != "auth"] == []
        finally:
            gateway.stop()
