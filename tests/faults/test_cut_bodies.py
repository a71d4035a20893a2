"""An upstream that breaks off at random: each request ends as its own fate says, and no broken body looks whole."""

from __future__ import annotations

from collections import Counter

from tests.faults.conftest import Begin
from tests.faults.fates import FATES, break_off, fate
from tests.faults.traffic import assert_counts_agree, counted, plan, serve
from tests.support.load import Load
from tests.support.load_origin import LoadOrigin


async def test_each_ends_as_its_fate_says(begin: Begin, origin: LoadOrigin) -> None:
    gateway, rest = await begin()
    before = await counted(gateway)
    origin.act = break_off
    async with Load(lambda: gateway.ingress, plan, seed="cut") as load:
        await load.more(1500)
    assert not load.tally.wrong, load.tally.wrong[:5]
    ends: dict[str, Counter[str]] = {}
    for done in load.tally.done:
        what = fate(done.ask.target)
        ends.setdefault(what, Counter())[done.outcome] += 1
        assert done.outcome in FATES[what], (what, done)
    assert ends.keys() == FATES.keys()
    assert_counts_agree(load.tally, origin)
    outcomes = load.tally.outcomes()
    expected = load.tally.statuses()
    expected[200] += outcomes["cut"] + outcomes["no answer"] + outcomes["half a head"]
    origin.act = serve
    tally = await Load(lambda: gateway.ingress, plan, rounds=1, seed="after").run()
    assert set(tally.outcomes()) == {"200"}
    expected += tally.statuses()
    await rest.regained(origin)
    assert await counted(gateway) - before == expected
