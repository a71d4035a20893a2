"""Starting: with a file, with --app alone, and the exit codes of what cannot start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.client import fetch
from tests.support.config import config
from tests.support.gateway import Gateway, until
from tests.support.origin import Origin


async def outcome(directory: Path, *arguments: str, whole: dict[str, Any] | str | None = None) -> tuple[int, Gateway]:
    """Run it where it must end by itself: the exit code, and what it printed."""
    gateway = Gateway(directory, None, *arguments)
    if whole is not None:
        text = whole if isinstance(whole, str) else yaml.safe_dump(whole)
        gateway.path.write_text(text)
        gateway = Gateway(directory, None, "run", "--config", str(gateway.path))
    try:
        return await gateway.spawn(afresh=True).wait(20), gateway
    finally:
        gateway.kill()


async def test_app_alone_needs_no_file(origin: Origin, tmp_path: Path) -> None:
    """Its ports are fixed; where the machine has them taken, all that can be seen is that it says so."""
    gateway = Gateway(tmp_path, None, "run", "--app", origin.url).spawn(afresh=True)
    try:
        await until(lambda: not gateway.alive or "ready" in gateway.stderr, "a start or an end", 20)
        if gateway.alive:
            assert (await fetch(("127.0.0.1", 8080), "GET", "/any")).value("x-answers") == b"/any"
            assert gateway.metrics[1] == 9090
            await asyncio.to_thread(gateway.stop)
        else:
            assert await gateway.wait() == 3
            assert any(port in gateway.stderr for port in ("8080", "9090", "9091"))
    finally:
        gateway.kill()


async def test_app_must_be_a_url(tmp_path: Path) -> None:
    code, gateway = await outcome(tmp_path, "run", "--app", "no url")
    assert code == 1
    assert "--app" in gateway.stderr


@pytest.mark.parametrize(
    ("whole", "place"),
    [
        ("ingress: [", "gateway.yaml:2:1: "),
        ("ingress:\n  rutes: []\n", "gateway.yaml:2:3: "),
        ("igress: {}\n", "gateway.yaml:1:1: "),
    ],
)
async def test_a_wrong_config(tmp_path: Path, whole: str, place: str) -> None:
    code, gateway = await outcome(tmp_path, whole=whole)
    assert code == 1
    assert any(place in line for line in gateway.garbage), gateway.stderr
    assert "Traceback" not in gateway.stderr


async def test_what_is_not_supported_yet_is_refused(origin: Origin, tmp_path: Path) -> None:
    whole = config(origin.address)
    on_routes = ["retry"]
    whole["ingress"]["routes"][0].update({key: {} for key in on_routes})
    code, gateway = await outcome(tmp_path, whole=whole)
    assert code == 1
    lines = [line for line in gateway.garbage if "not supported yet" in line]
    assert len(lines) == len(on_routes)
    for key in on_routes:
        assert any(key in line for line in lines)


async def test_a_port_that_is_taken(origin: Origin, tmp_path: Path) -> None:
    taken = f"{origin.address[0]}:{origin.address[1]}"
    code, gateway = await outcome(tmp_path, whole=config(origin.address, ingress={"bind": taken}))
    assert code == 3
    assert "Traceback" not in gateway.stderr


async def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    code, gateway = await outcome(tmp_path, "run", "--config", str(tmp_path / "missing.yaml"))
    assert code == 3
    assert "missing.yaml" in gateway.stderr
    assert "Traceback" not in gateway.stderr


@pytest.mark.parametrize("arguments", [[], ["run"], ["fly"], ["run", "--colour"], ["run", "--config"]])
async def test_usage(tmp_path: Path, arguments: list[str]) -> None:
    code, _ = await outcome(tmp_path, *arguments)
    assert code == 2


async def test_only_one_side(origin: Origin, tmp_path: Path) -> None:
    for absent, present, path in (("ingress", "egress", "/provider/"), ("egress", "ingress", "/")):
        whole = config(origin.address)
        del whole[absent]
        directory = tmp_path / absent
        directory.mkdir()
        gateway = Gateway(directory, whole)
        try:
            await asyncio.to_thread(gateway.start, afresh=True)
            assert (await fetch(gateway.address(present), "GET", path)).status == 200
            assert not [event for event in gateway.events if event.get("listener") == absent]
        finally:
            await asyncio.to_thread(gateway.stop)
