"""The config changes under load, by signal and by its file, again and again, wrong ones between: nothing is lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.faults.conftest import Begin
from tests.faults.traffic import assert_nothing_wrong, plan, serve, small
from tests.support.config import config
from tests.support.gateway import Gateway, until
from tests.support.load import CONNECTIONS, NOT_CONNECTED, Load
from tests.support.load_origin import LoadOrigin
from tests.support.rest import Rest

BETWEEN = 150  # requests from one reload to the next, about half a second's


def variant(number: int, origin: LoadOrigin, **ingress: Any) -> dict[str, Any]:
    """A config that differs from the one before in whatever can differ."""
    routes = [
        {"name": f"uploads-{number}", "path": "/**", "methods": ["POST", "PUT"], "upstream": "app"},
        {"name": f"rest-{number}", "path": "/**", "upstream": "app", "timeout": {"headers": f"{10 + number}s"}},
    ]
    upstream = {
        "pool": {"idle": f"{5 + number}s"},
        "breaker": {"failures": 1} if number % 2 else False,
        "timeout": {"connect": "10s"},
    }
    return config(origin.address, upstream=upstream, ingress={"routes": routes, **ingress})


def reloads(gateway: Gateway) -> int:
    return sum(event["event"] in ("config_reloaded", "config_refused") for event in gateway.events)


async def change(gateway: Gateway, new: dict[str, Any], *, signal: bool) -> None:
    """Put the config in place and wait until it has been taken up, or refused."""
    before = reloads(gateway)
    gateway.write(new)
    if signal:
        gateway.sighup()
    await until(lambda: reloads(gateway) > before, "the reload", 10)


async def assert_lost_nothing(gateway: Gateway, warm_up: int, load: Load, rest: Rest, *origins: LoadOrigin) -> None:
    """Each request was answered by exactly one of the origins, and has its access line."""
    for done in load.tally.done:
        if done.outcome == "200":
            assert sum(origin.heads[done.ask.target] for origin in origins) == 1, done
    await rest.regained(*origins)
    answered = load.tally.outcomes()["200"]
    await until(lambda: len(gateway.access) == warm_up + answered, "the access lines")
    assert {line["status"] for line in gateway.access} == {200}


async def test_again_and_again(begin: Begin, origin: LoadOrigin) -> None:
    gateway, rest = await begin()
    warm_up = len(gateway.access)
    other = LoadOrigin(serve)
    async with other:
        origins = [origin, other]
        async with Load(lambda: gateway.ingress, plan, seed="reloaded") as load:
            for number in range(1, 5):
                await load.more(BETWEEN)
                new, old = origins[number % 2], origins[(number + 1) % 2]
                had = len(new.heads)
                await change(gateway, variant(number, new), signal=number % 2 == 1)
                await until(lambda: len(new.heads) > had, "the new upstream to be asked")  # noqa: B023
                await until(lambda: old.open == 0, "the old upstream's connections to be let go")  # noqa: B023
                await load.more(BETWEEN)
                await change(gateway, {"ingress": {"routes": [{"path": "/**", "upstream": "nobody"}]}}, signal=True)
        assert_nothing_wrong(load.tally, {"200"})
        told = Counter(event["event"] for event in gateway.events)
        # The signal, and the watch on the file, may both see to the same change.
        assert told["config_reloaded"] >= 4
        assert told["config_refused"] >= 4
        await assert_lost_nothing(gateway, warm_up, load, rest, *origins)


async def test_ingress_moves(begin: Begin, origin: LoadOrigin) -> None:
    """To another address and back. Clients are sent on by their next answer; only new ones find the port closed."""
    gateway, rest = await begin()
    warm_up = len(gateway.access)
    async with Load(lambda: gateway.ingress, small, seed="moved") as load:
        for number, bind in enumerate(["127.0.0.2:0", "127.0.0.1:0"], 1):
            await load.more(BETWEEN)
            old = gateway.ingress
            await change(gateway, variant(number, origin, bind=bind), signal=True)
            assert gateway.ingress != old
    assert_nothing_wrong(load.tally, {"200", NOT_CONNECTED})
    assert load.tally.outcomes()[NOT_CONNECTED] < CONNECTIONS / 4
    await assert_lost_nothing(gateway, warm_up, load, rest, origin)
