"""`/breakers`: how the upstreams' circuit breakers stand, and moving them by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.admin import ports
from gateway.admin.operation import Answer, Call, Operation

_NAME = {"type": "string", "minLength": 1, "maxLength": 100, "description": "The upstream's name."}
_BY_HAND = {
    "open": "Hold a breaker open, until it is closed or reset by hand",
    "close": "Close a breaker; it guards as ever from there on",
    "reset": "Begin anew: closed, nothing counted, not held",
}


def operations(breakers: ports.Breakers) -> list[Operation]:
    """What can be done with breakers."""

    async def listed(_: Call) -> Answer:
        return Answer({"breakers": breakers.all()})

    moves = {"open": breakers.open, "close": breakers.close, "reset": breakers.reset}
    return [
        Operation("listBreakers", "GET", "/breakers", "Every breaker and its state", "Breakers", listed),
        *(
            Operation(
                f"{verb}Breaker",
                "POST",
                f"/breakers/{{name}}/{verb}",
                _BY_HAND[verb],
                "Breaker",
                _moving(move),
                path_schemas={"name": _NAME},
                problems=(404,),
            )
            for verb, move in moves.items()
        ),
    ]


def _moving(move: Callable[[str], ports.Breaker]) -> Callable[[Call], Awaitable[Answer]]:
    async def moved(call: Call) -> Answer:
        return Answer(move(call.path["name"]))

    return moved
