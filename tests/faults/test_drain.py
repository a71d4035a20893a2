"""SIGTERM under load: every request that found a connection is answered, the others find the port closed."""

from __future__ import annotations

from collections import Counter

from tests.faults.conftest import Begin
from tests.faults.traffic import assert_counts_agree, small
from tests.support.gateway import until
from tests.support.load import CONNECTIONS, NOT_CONNECTED, Load
from tests.support.load_origin import LoadOrigin


async def test_no_request_fails(begin: Begin, origin: LoadOrigin) -> None:
    """Clients go on until they are refused. From the signal on each answer sends its client to a new connection."""
    gateway, _ = await begin(drain={"delay": "500ms", "timeout": "10s"})
    address = gateway.ingress
    before = len(gateway.access)
    load = Load(lambda: address, small, seed="drained").start()
    await load.more(2 * CONNECTIONS)
    gateway.sigterm()
    await gateway.event(event="draining")
    await load.more(CONNECTIONS)
    tally = await load.ended()
    assert await gateway.wait() == 0
    assert not tally.wrong, tally.wrong[:5]
    outcomes = tally.outcomes()
    assert outcomes == {"200": len(tally.done) - CONNECTIONS, NOT_CONNECTED: CONNECTIONS}
    assert_counts_agree(tally, origin)
    await until(lambda: origin.open == 0, "the upstream connections' end")
    assert Counter(line["status"] for line in gateway.access[before:]) == {200: outcomes["200"]}
    assert [event["clean"] for event in gateway.events if event["event"] == "stopped"] == [True]
