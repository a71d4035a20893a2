"""Three replicas behind a balancer: their config changes, and each is replaced, under load. No request is lost."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults.nginx import FAST, SLOW, App, Balancer, Membership
from tests.faults.passers_by import PassersBy
from tests.support.config import config
from tests.support.config_map import ConfigMap
from tests.support.gateway import Gateway, until
from tests.wire.test_admin import command

pytestmark = pytest.mark.loads_the_machine

RATE = 300  # requests a second
#: Seconds; longer than the balancer takes to turn away, on a busy machine too. A signal ends it where it has by then.
DELAY = 3.0


class Replica:
    """A pod: an app, and the gateway beside it, on a mounted config. The gateway starts first."""

    def __init__(self, directory: Path, number: int) -> None:
        directory.mkdir()
        self._directory = directory
        self.app = App(directory / "app", f"127.0.7.{number + 1}")
        self.mounted = ConfigMap(directory / "mounted", self.config())
        self.gateway = self._another()

    def config(self, **upstream: Any) -> dict[str, Any]:
        return config(
            self.app.address,
            upstream={"timeout": {"connect": "10s"}, "breaker": {"failures": 1}, **upstream},
            startup_wait="30s",
            drain={"delay": f"{DELAY}s", "timeout": "10s"},
            log={"access": False},
        )

    def _another(self) -> Gateway:
        return Gateway(self._directory, None, "run", "--config", str(self.mounted.path))

    async def stop(self, membership: Membership, *, by_hook: bool) -> None:
        """By the preStop hook of a native sidecar, which goes after its app; or by SIGTERM alone."""
        gateway = self.gateway
        if by_hook:
            assert (await command(gateway, "drain"))[0] == 0
            self.app.kill()
            gateway.sigterm()
        else:
            gateway.sigterm()
            await until(lambda: gateway.ingress not in membership.members, "the balancer to turn away", 20)
            gateway.signal(signal.SIGINT)
        assert await gateway.wait() == 0
        self.app.kill()
        gateway.check_output()
        assert [event["clean"] for event in gateway.events if event["event"] == "stopped"] == [True]

    async def replace(self, membership: Membership) -> None:
        """Another one in its place: the gateway at once, the app when requests wait for it already."""
        self.gateway = self._another()
        await asyncio.to_thread(self.gateway.start)
        await until(lambda: self.gateway.ingress in membership.members, "the balancer to have it", 20)
        await self.gateway.event(event="upstream_starting", within=20)
        await asyncio.sleep(0.3)
        self.app.start()
        await self.gateway.event(event="upstream_started", within=20)

    def end(self) -> None:
        self.app.kill()
        self.gateway.stop()


async def test_no_request_is_lost(tmp_path: Path) -> None:
    replicas: list[Replica] = []
    async with AsyncExitStack() as stack:
        for number in range(3):
            replicas.append(Replica(tmp_path / str(number), number))
            stack.push_async_callback(asyncio.to_thread, replicas[-1].end)
            replicas[-1].app.start()
            replicas[-1].gateway.spawn()
        balancer = Balancer(tmp_path / "balancer", "127.0.7.9")
        await asyncio.gather(*(replica.gateway.event(event="ready", within=30) for replica in replicas))
        members = Membership(balancer, lambda: [replica.gateway for replica in replicas])
        membership = await stack.enter_async_context(members)
        await until(lambda: len(membership.members) == 3, "all to be ready")
        await asyncio.gather(*(replica.app.up() for replica in replicas))
        async with PassersBy(balancer.address, target, RATE) as load:
            for times in (1, 2):
                for replica in replicas:
                    replica.mounted.swap(replica.config(pool={"idle": f"{times + 5}s"}))
                await until(lambda: all(reloads(replica) >= times for replica in replicas), "the reloads")  # noqa: B023
            for number, replica in enumerate(replicas):
                await replica.stop(membership, by_hook=number == 1)
                await replica.replace(membership)
        assert not load.lost, (len(load.lost), load.lost[:3])
        assert len(load.asked) > load.seconds * RATE * 0.9
        # Each went to an app once, and to one only.
        answered = sum((replica.app.answered() for replica in replicas), start=Counter[str]())
        assert answered == Counter(load.asked)


def target(number: int) -> tuple[str, bytes]:
    """Of every twenty, one that is under way for a while."""
    return (f"/slow/{number}", SLOW) if number % 20 == 0 else (f"/{number}", FAST)


def reloads(replica: Replica) -> int:
    return sum(event["event"] == "config_reloaded" for event in replica.gateway.events)
