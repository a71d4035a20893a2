"""Fetching what will be asked for before it is: what the config lists, what a sitemap lists, or what somebody names.

So many workers take from one queue. A fetch is asked of the cache itself, so what is stored and fresh costs nothing,
and one that is under way is joined. What fails for a reason that passes is tried again after a pause that grows. An
upstream that has never been there is waited for first: in Kubernetes a sidecar's app starts after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import random
from time import monotonic
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from gateway.cache.warm_list import Headers, Job, Plan, Progress, Rank, Run, Wanted, shown
from gateway.errors import GatewayError, NotStarted, RequestError
from gateway.rules import sitemap

#: Seconds before a second try; each further pause is twice as long, up to the longest. Half of it is left to chance.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: Seconds until it is looked again whether the upstream has started.
START_PAUSE = 0.5
_TOO_MANY = 429
_PORTS = {"http": 80, "https": 443}


class Fetched(NamedTuple):
    """What became of a fetch: the answer's status, and whether it is in the cache now; if not, why."""

    status: int
    stored: bool
    why: str = ""
    body: bytes = b""


class Fetch(Protocol):
    """Have the cache fetch a URL as for a client, and wait until it is stored."""

    async def __call__(self, url: bytes, headers: Headers, most: int) -> Fetched:
        """`most` is how much of the body is wanted; one that is larger may come cut, but longer than that.

        Raises whatever goes wrong.
        """


class Journal(Protocol):
    """Who is told."""

    def not_warmed(self, url: str, why: str) -> None:
        """A URL (here without its query) has failed for good."""

    def warmed(self, progress: Progress) -> None:
        """A warming has come to its end."""


class Warmer:
    """Warms the cache, one list at a time."""

    def __init__(
        self,
        fetch: Fetch,
        journal: Journal,
        bug: Callable[[str, BaseException], None],
        clock: Callable[[], float] = monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.plan = Plan()
        self._fetch = fetch
        self._journal = journal
        self._bug = bug
        self._clock = clock
        self._pause = pause
        self._run: Run | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def warm(self, urls: Sequence[Wanted] | None = None) -> Progress:
        """Begin with these, or with None what the plan lists; what is under way takes them along."""
        run = self._run
        if run is None or run.state != "running":
            self._run = run = Run(self.plan, self._clock())
            task = asyncio.get_running_loop().create_task(self._go(run))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        for wanted in self.plan.urls if urls is None else urls:
            rank = Rank.CRITICAL if wanted.critical else Rank.NAMED
            run.add(rank, wanted, wanted.priority)
        if urls is None and self.plan.sitemap is not None:
            run.add(Rank.MAP, Wanted(self.plan.sitemap), 0, maps=1)
        run.tell()
        return self.progress()

    def progress(self) -> Progress:
        """How it stands, or how the last one ended."""
        run = self._run
        if run is None:
            return Progress()
        until = self._clock() if run.ended is None else run.ended
        return Progress(
            run.state, run.total, run.done, run.failed, run.dropped, until - run.began, tuple(run.failures)
        )

    async def critical(self) -> bool:
        """Wait for the critical ones of what is under way, for as long as the plan says; whether all are warm."""
        run = self._run
        if run is None:
            return True
        try:
            async with asyncio.timeout(max(run.began + run.plan.critical_wait - self._clock(), 0)):
                await run.critical_over.wait()
        except TimeoutError:
            return False
        return not run.critical and not run.critical_failed

    async def stop(self) -> None:
        """End what is under way, at once."""
        run = self._run
        if run is not None and run.state == "running":
            run.stop(self._clock())
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # ---- inside

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._bug("cache.warming", error)

    async def _go(self, run: Run) -> None:
        loop = asyncio.get_running_loop()
        workers = [loop.create_task(self._work(run)) for _ in range(run.plan.concurrency)]
        try:
            while run.total > run.done + run.failed:  # more may come just as the last one ends
                await run.queue.join()
            run.finish(self._clock())
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._journal.warmed(self.progress())

    async def _work(self, run: Run) -> None:
        while True:
            job = await run.queue.get()
            try:
                why = await self._have(run, job)
            except Exception as error:  # noqa: BLE001 - a bug; the others are to be warmed all the same
                self._bug("cache.warming", error)
                why = "a fault of ours"
            if why:
                self._journal.not_warmed(shown(job.wanted.url), why)
            run.over(job, why)
            run.queue.task_done()

    async def _have(self, run: Run, job: Job) -> str:
        """Fetch it, again and again if that may help; why it failed.

        While the upstream is still starting no try counts, for as long as readiness may wait.
        """
        attempt = 0
        while True:
            why, again = await self._try(run, job)
            if not again:
                return why
            if why == NotStarted.slug and self._clock() - run.began < run.plan.critical_wait:
                await self._pause(START_PAUSE)
                continue
            if attempt == run.plan.retries:
                return why
            pause = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
            await self._pause(pause * (0.5 + 0.5 * random()))  # noqa: S311 - jitter
            attempt += 1

    async def _try(self, run: Run, job: Job) -> tuple[str, bool]:
        """Why it failed, and whether another try may help."""
        wanted = job.wanted
        most = 0 if job.maps is None else sitemap.LARGEST
        try:
            async with asyncio.timeout(run.plan.timeout):
                fetched = await self._fetch(wanted.url, wanted.headers, most)
        except TimeoutError:
            return "no answer in time", True
        except GatewayError as error:
            return error.slug, not isinstance(error, RequestError)
        except OSError as error:
            return error.strerror or type(error).__name__, True
        if fetched.status >= 500 or fetched.status == _TOO_MANY:
            return f"status {fetched.status}", True
        if fetched.status >= 400:
            return f"status {fetched.status}", False
        if job.maps is not None:
            return await self._read(run, job, fetched), False
        return ("" if fetched.stored else f"not stored: {fetched.why or 'unknown'}"), False

    async def _read(self, run: Run, job: Job, fetched: Fetched) -> str:
        """Put what a sitemap lists into the queue; what is wrong with it."""
        room = max(run.plan.max_urls - run.total, 0)
        if fetched.status != 200:
            return f"status {fetched.status}" if fetched.status else fetched.why
        try:
            listed = await asyncio.to_thread(sitemap.read, fetched.body, room)
        except ValueError as error:
            return f"no sitemap: {error}"
        run.dropped += listed.dropped
        site = _site(job.wanted.url)
        for page in listed.urls:
            if _site(page.url) == site:
                run.add(Rank.LISTED, Wanted(page.url), page.priority)
            else:
                run.dropped += 1
        for url in listed.maps:
            if job.maps and _site(url) == site:
                run.add(Rank.MAP, Wanted(url), 0, maps=0)
            else:
                run.dropped += 1
        return ""


def _site(url: bytes) -> tuple[str, int | None] | None:
    """Host and port; a sitemap speaks for its own host alone (the protocol, "Sitemap file location")."""
    try:
        parts = urlsplit(url.decode("ascii"))
        port = parts.port
    except ValueError:
        return None
    return (parts.hostname or "", None if port == _PORTS.get(parts.scheme) else port)
