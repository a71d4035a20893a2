"""What is to be warmed, in which order, and how far it has come.

critical ones ──> sitemaps ──> the others by their priority ──> what sitemaps list, by its own
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, NamedTuple

#: Failures that are remembered to be shown.
FAILURES = 20

Headers = tuple[tuple[bytes, bytes], ...]
State = Literal["idle", "running", "done", "stopped"]


class Wanted(NamedTuple):
    """A URL to fetch."""

    url: bytes
    #: Those with more come first.
    priority: int = 0
    #: Somebody waits for it.
    critical: bool = False
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What the config says. Times in seconds."""

    urls: tuple[Wanted, ...] = ()
    sitemap: bytes | None = None
    concurrency: int = 4
    retries: int = 2
    timeout: float = 30.0
    max_urls: int = 10_000
    critical_wait: float = 60.0


class Failure(NamedTuple):
    """A URL, without its query, and why it is not warm."""

    url: str
    why: str


class Progress(NamedTuple):
    """How a warming stands. `dropped` are URLs beyond `max_urls`, or that are no URLs of the sitemap's own site."""

    state: State = "idle"
    total: int = 0
    done: int = 0
    failed: int = 0
    dropped: int = 0
    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()

    @property
    def left(self) -> int:
        """URLs still to be fetched."""
        return self.total - self.done - self.failed

    @property
    def estimate(self) -> float | None:
        """Seconds that are left by the pace so far; None while there is none, or nothing is under way."""
        finished = self.done + self.failed
        if self.state != "running" or not finished:
            return None
        return self.seconds / finished * self.left


class Job(NamedTuple):
    """One fetch. The order's last part is another for each job."""

    order: tuple[int, float, int]
    wanted: Wanted
    #: How many sitemaps deep it may still lead; None for a page.
    maps: int | None = None


class Rank(IntEnum):
    """What comes before what."""

    CRITICAL = 0
    MAP = 1
    NAMED = 2
    LISTED = 3


@dataclass(slots=True)
class Run:
    """A warming, from its first URL to its last."""

    plan: Plan
    began: float
    ended: float | None = None
    state: State = "running"
    total: int = 0
    done: int = 0
    failed: int = 0
    dropped: int = 0
    number: int = 0
    critical: int = 0
    critical_failed: int = 0
    waiting: set[tuple[bytes, Headers]] = field(default_factory=set)
    failures: deque[Failure] = field(default_factory=lambda: deque(maxlen=FAILURES))
    queue: asyncio.PriorityQueue[Job] = field(default_factory=asyncio.PriorityQueue)
    critical_over: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, rank: int, wanted: Wanted, priority: float, maps: int | None = None) -> None:
        """One more to fetch, unless it waits already, or there are too many."""
        if (wanted.url, wanted.headers) in self.waiting:
            return
        if self.total >= self.plan.max_urls:
            self.dropped += 1
            return
        self.waiting.add((wanted.url, wanted.headers))
        self.total += 1
        self.number += 1
        self.critical += wanted.critical
        self.queue.put_nowait(Job((rank, -priority, self.number), wanted, maps))

    def over(self, job: Job, why: str) -> None:
        """One is over; `why` it has failed."""
        wanted = job.wanted
        self.waiting.discard((wanted.url, wanted.headers))
        if why:
            self.failed += 1
            self.critical_failed += wanted.critical
            self.failures.append(Failure(shown(wanted.url), why))
        else:
            self.done += 1
        self.critical -= wanted.critical
        self.tell()

    def finish(self, now: float) -> None:
        """All are over."""
        self.state, self.ended = "done", now

    def stop(self, now: float) -> None:
        """No more comes; nobody waits any longer."""
        self.state, self.ended = "stopped", now
        self.critical_over.set()

    def tell(self) -> None:
        """Let those go on who wait for the critical ones, if there is none left."""
        if not self.critical:
            self.critical_over.set()


def shown(url: bytes) -> str:
    """Without the query, which may hold somebody's secret."""
    return url.partition(b"?")[0].decode("latin-1")
