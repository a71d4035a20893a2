"""Warming: in which order, how many at once, what is tried again, what is told, and that it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from gateway.cache import warming
from gateway.cache.warm_list import FAILURES, Failure, Headers, Plan, Progress, Wanted
from gateway.cache.warming import Fetched, Warmer
from gateway.errors import ConnectFailed, NoRoute, NotStarted
from gateway.rules.sitemap import LARGEST

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")

STORED = Fetched(200, stored=True)
SITE = b"https://shop.example"


def sitemap(*urls: str, index: bool = False) -> Fetched:
    root, one = ("sitemapindex", "sitemap") if index else ("urlset", "url")
    body = "".join(f"<{one}><loc>{url}</loc></{one}>" for url in urls)
    return Fetched(200, stored=False, body=f"<{root}>{body}</{root}>".encode())


class Site:
    """What answers fetches: by URL one answer after the other, the last for ever; what is not there is stored."""

    def __init__(self, answers: Mapping[bytes, list[Fetched | Exception]] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[bytes] = []
        self.headers: list[Headers] = []
        self.at_once = self.most_at_once = 0
        self.gate: asyncio.Event | None = None

    async def fetch(self, url: bytes, headers: Headers, most: int) -> Fetched:
        self.asked.append(url)
        self.headers.append(headers)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await (asyncio.sleep(0) if self.gate is None else self.gate.wait())
        finally:
            self.at_once -= 1
        answers = self.answers.get(url, [STORED])
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert (most == LARGEST) == bool(answer.body), "a body is asked for where one is read"
        return answer


class Journal:
    def __init__(self) -> None:
        self.failed: list[tuple[str, str]] = []
        self.ended: list[Progress] = []
        self.bugs: list[BaseException] = []

    def not_warmed(self, url: str, why: str) -> None:
        self.failed.append((url, why))

    def warmed(self, progress: Progress) -> None:
        self.ended.append(progress)

    def bug(self, where: str, error: BaseException) -> None:
        assert where == "cache.warming"
        self.bugs.append(error)


class Warming:
    """A warmer with its surroundings; its pauses pass at once, and are noted."""

    def __init__(self, site: Site, plan: Plan | None = None, clock: Callable[[], float] | None = None) -> None:
        self.journal = Journal()
        self.pauses: list[float] = []
        more = {} if clock is None else {"clock": clock}
        self.warmer = Warmer(site.fetch, self.journal, self.journal.bug, pause=self._pause, **more)
        self.warmer.plan = plan or Plan()

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def to_its_end(self, urls: list[Wanted] | None = None) -> Progress:
        self.warmer.warm(urls)
        async with asyncio.timeout(10):
            while self.warmer.progress().state == "running" or self.warmer._tasks:
                await asyncio.sleep(0.001)
        return self.warmer.progress()


def wanted(*paths: str) -> list[Wanted]:
    return [Wanted(SITE + path.encode()) for path in paths]


async def test_critical_ones_come_first_then_by_priority_then_in_order() -> None:
    site = Site()
    urls = (
        Wanted(b"c"),
        Wanted(b"b", 5),
        Wanted(b"d"),
        Wanted(b"a2", critical=True),
        Wanted(b"a1", 1, critical=True),
    )
    progress = await Warming(site, Plan(urls, concurrency=1)).to_its_end()
    assert site.asked == [b"a1", b"a2", b"b", b"c", b"d"]
    assert (progress.state, progress.total, progress.done, progress.failed, progress.left) == ("done", 5, 5, 0, 0)


async def test_a_sitemap_s_urls_come_last_and_by_their_priority() -> None:
    listed = b"<urlset><url><loc>https://shop.example/low</loc></url>"
    listed += b"<url><loc>https://shop.example/high</loc><priority>0.9</priority></url></urlset>"
    site = Site({SITE + b"/sitemap.xml": [Fetched(200, stored=False, body=listed)]})
    plan = Plan(tuple(wanted("/named")), SITE + b"/sitemap.xml", concurrency=1)
    progress = await Warming(site, plan).to_its_end()
    assert [url.removeprefix(SITE) for url in site.asked] == [b"/sitemap.xml", b"/named", b"/high", b"/low"]
    assert (progress.total, progress.done) == (4, 4)


async def test_a_sitemap_speaks_for_its_own_site_and_an_index_for_one_level() -> None:
    index = sitemap("https://shop.example/1.xml", "https://evil.example/2.xml", index=True)
    first = sitemap("https://shop.example/a", "http://shop.example:80/b", "https://evil.example/c")
    nested = sitemap("https://shop.example/3.xml", index=True)
    site = Site({SITE + b"/s.xml": [index], SITE + b"/1.xml": [first]})
    progress = await Warming(site, Plan(sitemap=SITE + b"/s.xml")).to_its_end()
    assert sorted(site.asked) == sorted(
        [SITE + b"/s.xml", SITE + b"/1.xml", SITE + b"/a", b"http://shop.example:80/b"]
    )
    assert progress.dropped == 2
    site = Site({SITE + b"/s.xml": [index], SITE + b"/1.xml": [nested]})
    progress = await Warming(site, Plan(sitemap=SITE + b"/s.xml")).to_its_end()
    assert (site.asked, progress.dropped) == ([SITE + b"/s.xml", SITE + b"/1.xml"], 2)


async def test_no_more_urls_than_the_config_allows() -> None:
    site = Site({SITE + b"/s.xml": [sitemap(*(f"https://shop.example/{number}" for number in range(20)))]})
    progress = await Warming(site, Plan(tuple(wanted("/a", "/b")), SITE + b"/s.xml", max_urls=6)).to_its_end()
    assert (progress.total, progress.dropped, len(site.asked)) == (6, 17, 6)


async def test_so_many_at_once() -> None:
    site = Site()
    urls = wanted(*(f"/{number}" for number in range(50)))
    assert (await Warming(site, Plan(concurrency=7)).to_its_end(urls)).done == 50
    assert site.most_at_once == 7


@pytest.mark.parametrize(
    "passing", [Fetched(503, stored=False), Fetched(429, stored=False), ConnectFailed(), OSError()]
)
async def test_what_passes_is_tried_again_after_growing_pauses(passing: Fetched | Exception) -> None:
    site = Site({SITE + b"/a": [passing, passing, STORED]})
    running = Warming(site, Plan(retries=2))
    progress = await running.to_its_end(wanted("/a"))
    assert (progress.done, progress.failed, len(site.asked)) == (1, 0, 3)
    first, second = running.pauses
    assert warming.FIRST_PAUSE / 2 <= first <= warming.FIRST_PAUSE <= second <= 2 * warming.FIRST_PAUSE
    assert running.journal.failed == []


async def test_an_upstream_that_is_starting_is_waited_for() -> None:
    site = Site({SITE + b"/a": [*[NotStarted()] * 20, ConnectFailed(), STORED]})
    running = Warming(site, Plan(retries=1, critical_wait=10.0), clock=lambda: 0.0)
    assert (await running.to_its_end(wanted("/a"))).done == 1
    assert running.pauses[:20] == [warming.START_PAUSE] * 20
    assert len(site.asked) == 22


async def test_but_not_for_ever() -> None:
    now = iter(range(1000))
    site = Site({SITE + b"/a": [NotStarted()]})
    running = Warming(site, Plan(retries=2, critical_wait=5.0), clock=lambda: float(next(now)))
    assert (await running.to_its_end(wanted("/a"))).failed == 1
    assert 3 < len(site.asked) <= 8
    assert running.journal.failed == [("https://shop.example/a", "not-started")]


async def test_a_pause_does_not_grow_for_ever() -> None:
    running = Warming(Site({SITE + b"/a": [Fetched(500, stored=False)]}), Plan(retries=10))
    assert (await running.to_its_end(wanted("/a"))).failed == 1
    assert len(running.pauses) == 10
    assert max(running.pauses) <= warming.LONGEST_PAUSE


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Fetched(404, stored=True), "status 404"),
        (Fetched(200, stored=False, why="private"), "not stored: private"),
        (ConnectFailed(), ConnectFailed.slug),
        (Fetched(502, stored=False), "status 502"),
    ],
)
async def test_what_fails_is_told_without_its_query(answer: Fetched | Exception, why: str) -> None:
    running = Warming(Site({SITE + b"/a?token=secret": [answer]}), Plan(retries=0))
    progress = await running.to_its_end(wanted("/a?token=secret"))
    assert progress.failures == (Failure("https://shop.example/a", why),)
    assert running.journal.failed == [("https://shop.example/a", why)]
    assert (progress.done, progress.failed, progress.left) == (0, 1, 0)
    assert running.journal.ended == [progress]


@pytest.mark.parametrize(
    "lasting", [Fetched(404, stored=False), Fetched(200, stored=False, why="private"), NoRoute()]
)
async def test_what_does_not_pass_is_not_tried_again(lasting: Fetched | Exception) -> None:
    site = Site({SITE + b"/a": [lasting]})
    assert (await Warming(site, Plan(retries=5)).to_its_end(wanted("/a"))).failed == 1
    assert len(site.asked) == 1


async def test_only_the_last_failures_are_kept() -> None:
    urls = wanted(*(f"/{number}" for number in range(FAILURES + 10)))
    site = Site({one.url: [Fetched(404, stored=False)] for one in urls})
    progress = await Warming(site).to_its_end(urls)
    assert (progress.failed, len(progress.failures)) == (FAILURES + 10, FAILURES)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Fetched(200, stored=False, body=b"<html/>"), "no sitemap: it is neither a urlset nor a sitemapindex"),
        (Fetched(301, stored=False, body=b"moved"), "status 301"),
    ],
)
async def test_a_sitemap_that_is_none(answer: Fetched, why: str) -> None:
    running = Warming(Site({SITE + b"/s.xml": [answer]}), Plan(tuple(wanted("/a")), SITE + b"/s.xml"))
    progress = await running.to_its_end()
    assert (progress.done, progress.failures) == (1, (Failure("https://shop.example/s.xml", why),))


async def test_a_bug_stops_nothing_else() -> None:
    running = Warming(Site({SITE + b"/a": [ZeroDivisionError()]}), Plan(concurrency=1))
    progress = await running.to_its_end(wanted("/a", "/b"))
    assert (progress.done, progress.failed) == (1, 1)
    assert [type(bug) for bug in running.journal.bugs] == [ZeroDivisionError]


async def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    site = Site()
    site.gate = asyncio.Event()
    progress = await Warming(site, Plan(retries=1, timeout=0.01)).to_its_end(wanted("/a"))
    assert progress.failures == (Failure("https://shop.example/a", "no answer in time"),)
    assert (len(site.asked), site.at_once) == (2, 0)


async def test_fields_are_sent_and_tell_requests_apart() -> None:
    site = Site()
    urls = [Wanted(SITE, headers=((b"Accept-Language", language),)) for language in (b"de", b"en", b"de")]
    progress = await Warming(site, Plan(concurrency=1)).to_its_end(urls)
    assert site.headers == [urls[0].headers, urls[1].headers]
    assert progress.total == 2


async def test_more_may_be_asked_for_meanwhile_and_again_afterwards() -> None:
    site = Site()
    site.gate = asyncio.Event()
    running = Warming(site, Plan(tuple(wanted("/a", "/b")), concurrency=1))
    running.warmer.warm()
    await asyncio.sleep(0)
    assert running.warmer.warm(wanted("/b", "/c")).total == 3, "what waits already is not asked for twice"
    assert running.warmer.progress().left == 3
    site.gate.set()
    assert (await running.to_its_end(wanted("/d"))).done == 4
    assert (await running.to_its_end(wanted("/a"))).total == 1
    assert len(running.journal.ended) == 2


async def test_each_end_may_be_the_beginning_of_another() -> None:
    """What comes in just as the last one ends is warmed all the same."""
    site = Site()
    running = Warming(site)
    for number in range(200):
        running.warmer.warm(wanted(f"/{number}"))
        for _ in range(number % 8):
            await asyncio.sleep(0)
    await running.to_its_end([])
    assert len(site.asked) == 200


async def test_the_time_left_is_told_by_the_pace_so_far() -> None:
    now = [100.0]
    site = Site()
    site.gate = asyncio.Event()
    running = Warming(site, Plan(concurrency=2), lambda: now[0])
    assert running.warmer.progress() == Progress()
    assert running.warmer.warm(wanted(*"123456")).estimate is None
    while site.at_once < 2:
        await asyncio.sleep(0)
    now[0] = 104.0
    before, site.gate = site.gate, asyncio.Event()
    before.set()
    for _ in range(100):
        if running.warmer.progress().done == 2:
            break
        await asyncio.sleep(0)
    progress = running.warmer.progress()
    assert (progress.seconds, progress.left, progress.estimate) == (4.0, 4, 8.0)
    site.gate.set()
    progress = await running.to_its_end([])
    assert (progress.seconds, progress.estimate) == (4.0, None)


async def test_the_critical_ones_are_waited_for_and_no_others() -> None:
    site = Site()
    running = Warming(site, Plan((Wanted(b"a", critical=True), Wanted(b"b")), concurrency=1))
    assert await running.warmer.critical(), "nobody has asked for any"
    running.warmer.warm()
    waiting = asyncio.create_task(running.warmer.critical())
    async with asyncio.timeout(10):
        assert await waiting
    assert site.asked[0] == b"a"
    await running.warmer.stop()
    plain = Warming(site, Plan(tuple(wanted("/a"))))
    site.gate = asyncio.Event()
    plain.warmer.warm()
    assert await plain.warmer.critical(), "none is critical"
    await plain.warmer.stop()


async def test_readiness_does_not_wait_for_ever() -> None:
    site = Site({b"a": [Fetched(404, stored=False)]})
    running = Warming(site, Plan((Wanted(b"a", critical=True),)))
    running.warmer.warm()
    assert not await running.warmer.critical(), "it has failed"
    site.gate = asyncio.Event()
    running.warmer.plan = Plan((Wanted(b"b", critical=True),), critical_wait=0.01)
    await running.to_its_end([])
    running.warmer.warm()
    assert not await running.warmer.critical(), "it takes too long"
    await running.warmer.stop()


async def test_it_stops_at_once_and_whoever_waits_goes_on() -> None:
    site = Site()
    site.gate = asyncio.Event()
    running = Warming(site, Plan((Wanted(b"a", critical=True), Wanted(b"b")), concurrency=1))
    await running.warmer.stop()
    running.warmer.warm()
    waiting = asyncio.create_task(running.warmer.critical())
    await asyncio.sleep(0.01)
    await running.warmer.stop()
    async with asyncio.timeout(10):
        assert not await waiting
    progress = running.warmer.progress()
    assert (progress.state, progress.left, site.at_once) == ("stopped", 2, 0)
    assert running.journal.ended == [progress]


async def test_it_stops_before_it_has_begun() -> None:
    running = Warming(Site(), Plan((Wanted(b"a", critical=True),)))
    running.warmer.warm()
    await running.warmer.stop()
    assert running.warmer.progress().state == "stopped"
    assert not await running.warmer.critical()
