"""`/config` and `/drain`: the config in force, and the beginning of the end."""

from __future__ import annotations

from gateway.admin import ports
from gateway.admin.operation import Answer, Call, Operation


def operations(config: ports.Config, process: ports.Process) -> list[Operation]:
    """What can be done with the process."""

    async def shown(_: Call) -> Answer:
        return Answer({"config": config.shown()})

    async def standing(_: Call) -> Answer:
        return Answer(
            {
                "phase": process.phase,
                "drained": process.drained,
                "in_flight": process.in_flight(),
                "instance": process.instance,
            }
        )

    async def drain(call: Call) -> Answer:
        process.drain()
        return await standing(call)

    return [
        Operation("getConfig", "GET", "/config", "The config in force, every secret hidden", "Config", shown),
        Operation("getDrain", "GET", "/drain", "Whether the gateway drains, and how far it is", "Drain", standing),
        Operation(
            "drain",
            "POST",
            "/drain",
            "Have ingress drain; egress goes on until SIGTERM. Again changes nothing",
            "Drain",
            drain,
            status=202,
        ),
    ]
