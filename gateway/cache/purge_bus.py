"""Purges told to every replica, so that each knows of each within a second, whatever becomes of a message.

Shared numbers count the purges of an epoch, which lasts as long as the server remembers. Each replica has a log of
its own (rules/purge.py) with numbers of its own, for it also purges while the server is gone. What is written here
keeps the two in step: an entry that goes to the shared tier bears the last shared number up to which it has seen all
purges, one that comes from there the last number of this process up to which its writer must have seen all.

A purge is applied here at once, then numbered, logged and published by one script (lua/purges.lua). The same script
is asked every half second (state/keeper.py), so whoever missed a message finds out by the number and has what the log
has; where that does not reach back, everything is purged that is older. While the server is gone purges wait, MOST of
them, beyond which they are one of everything.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from secrets import token_bytes
from typing import NamedTuple, Protocol

import orjson

from gateway.cache.codec import Garbage
from gateway.rules.purge import Kind, Purge
from gateway.state.redis_calls import Run
from gateway.state.redis_scripts import Script

#: Purges that the shared log holds, that may wait, and whose numbers are known here.
MOST = 4000
#: Milliseconds that the shared log outlives the last sign of any replica: longer than any entry there.
_LASTS = b"%d" % (8 * 24 * 3600 * 1000)
#: Seconds after which a purge of ours is certain to have come to whatever server takes over.
_SETTLED = 10.0
#: Messages remembered, to know one that comes a second time.
_SEEN = 256

_PURGES = Script("purges", "gateway.cache")


class Log(Protocol):
    """This process's own purges: `rules.purge.PurgeLog`."""

    @property
    def version(self) -> int:
        """The last one's number."""

    def add(self, purge: Purge) -> object:
        """Number it."""


class _Waiting(NamedTuple):
    """A purge that the others have not been told of."""

    purge: Purge
    #: Its number here.
    number: int
    told: asyncio.Future[bool]


class PurgeBus:
    """One replica's end. `exchange` with the server again and again, and `heard` what is published."""

    def __init__(self, prefix: bytes, log: Log, apply: Callable[[Purge], object]) -> None:
        """`apply` is given others' purges, for this process's memory."""
        self._keys = (prefix + b"epoch", prefix + b"purges")
        self.channel = prefix + b"purged"
        self._log = log
        self._apply = apply
        #: Is called when an `exchange` should be soon.
        self.wake: Callable[[], None] = _nobody
        #: Tells this replica's messages from the others'.
        self._instance = token_bytes(6).hex()
        #: Empty until the server has been asked for the first time.
        self.epoch = b""
        self._known = 0
        #: Shared numbers, rising, and up to which number of ours all that each counts has been applied.
        self._shared: deque[int] = deque(maxlen=MOST)
        self._ours: deque[int] = deque(maxlen=MOST)
        self._waiting: dict[Purge, _Waiting] = {}
        self._told: deque[tuple[float, Purge]] = deque(maxlen=MOST)
        self._seen: deque[tuple[int, bytes]] = deque(maxlen=_SEEN)

    # ---- numbers

    def here(self, shared: int) -> int | None:
        """The number of ours up to which whoever wrote with this shared one has seen all; None: nobody knows."""
        if not self._shared or shared < self._shared[0]:
            return None
        ours = self._ours[bisect_right(self._shared, shared) - 1]
        for first in self._waiting.values():
            return min(ours, first.number - 1)
        return ours

    def there(self, ours: int) -> int | None:
        """The shared number up to which whoever had seen so many of ours has seen all; None: nobody knows."""
        at = bisect_right(self._ours, ours) - 1
        return None if at < 0 else self._shared[at]

    # ---- telling

    def publish(self, purge: Purge) -> asyncio.Future[bool]:
        """Number a purge of this process's, and have the others told as soon as can be.

        The future is True then, and False if it is never told by itself.
        """
        self._log.add(purge)
        # An equal one that still waits is one with it: what it means, the later one means too.
        before = self._waiting.pop(purge, None)
        told = asyncio.get_running_loop().create_future() if before is None else before.told
        self._waiting[purge] = _Waiting(purge, self._log.version, told)
        if len(self._waiting) > MOST:
            self._collapse()
        self.wake()
        return told

    @property
    def waiting(self) -> int:
        """Purges that the others have not been told of."""
        return len(self._waiting)

    async def settled(self, within: float) -> bool:
        """Wait until the others have been told of what waits now, so many seconds at most; whether they have."""
        told = [one.told for one in self._waiting.values()]
        if told:
            await asyncio.wait(told, timeout=within)
        return all(one.done() and one.result() for one in told)

    async def exchange(self, run: Run) -> None:
        """Learn what was missed, and tell what waits; whatever `run` raises comes through. One at a time."""
        waiting = list(self._waiting.values())
        texts = [_written(one.purge, self._instance) for one in waiting]
        number = b"%d" % self._known
        arguments = [self.epoch, number, token_bytes(4).hex().encode(), b"%d" % MOST, _LASTS, self.channel, *texts]
        epoch, before, missed = await run(_PURGES, self._keys, arguments)
        self._learn(bytes(epoch), int(before), missed)
        self._was_told(waiting, texts, int(before))

    def heard(self, message: bytes) -> None:
        """What was published; garbage is nothing."""
        number, colon, text = message.partition(b":")
        if not colon or not number.isdigit() or len(number) > 16 or not self.epoch:
            return
        if _sender(text) == self._instance:
            return
        shared = int(number)
        if shared == self._known + 1:
            self._take(shared, text)
        elif shared > self._known:
            self.wake()
        elif (shared, text) not in self._seen:
            # A server that took over has lost some, and numbers on from there.
            self._purge(_read(text))

    def close(self) -> None:
        """Nobody will be told any more."""
        for one in self._waiting.values():
            _tell(one.told, told=False)
        self._waiting.clear()

    # ---- inside

    def _learn(self, epoch: bytes, number: int, missed: Sequence[bytes]) -> None:
        if len(epoch) != 8 or number < len(missed):
            raise ValueError("an epoch that is none, or more purges than there were")
        first = number - len(missed) + 1
        again = self.epoch not in (b"", epoch)
        if epoch != self.epoch:
            self.epoch = epoch
            self._start(0)
        if first > self._known + 1:
            # The log does not reach back so far: all that we have may be what was meant.
            self._purge(Purge(Kind.ALL))
            self._start(first - 1)
        for shared, text in enumerate(missed, first):
            if shared > self._known:
                self._take(shared, text)
        if again:
            self._repeat()

    def _start(self, shared: int) -> None:
        """What lies before is not known."""
        self._shared.clear()
        self._ours.clear()
        self._step(shared, self._log.version)

    def _step(self, shared: int, ours: int) -> None:
        self._known = shared
        self._shared.append(shared)
        self._ours.append(ours)

    def _take(self, shared: int, text: bytes) -> None:
        """Apply the next one in the order of the shared numbers."""
        self._seen.append((shared, text))
        self._purge(_read(text))
        self._step(shared, self._log.version)

    def _purge(self, purge: Purge) -> None:
        self._log.add(purge)
        self._apply(purge)

    def _was_told(self, waiting: Sequence[_Waiting], texts: Sequence[bytes], before: int) -> None:
        now = asyncio.get_running_loop().time()
        while self._told and self._told[0][0] < now - _SETTLED:
            self._told.popleft()
        for shared, (one, text) in enumerate(zip(waiting, texts, strict=True), before + 1):
            if self._waiting.get(one.purge) is one:
                del self._waiting[one.purge]
                _tell(one.told, told=True)
            self._told.append((now, one.purge))
            self._seen.append((shared, text))
            if shared != self._known + 1:
                self.wake()  # others' came between; it is learned with them
            elif one.number > self._ours[-1]:
                self._step(shared, one.number)
            else:
                # Others' were applied here after it, though they come before it there.
                self._log.add(one.purge)
                self._step(shared, self._log.version)

    def _repeat(self) -> None:
        """Tell again what a server may have forgotten before every replica had heard of it."""
        now = asyncio.get_running_loop().time()
        for at, purge in self._told:
            if at > now - _SETTLED and purge not in self._waiting:
                future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
                self._waiting[purge] = _Waiting(purge, self._log.version, future)
        self._told.clear()
        self.wake()

    def _collapse(self) -> None:
        """Too many wait: they are one of everything."""
        first = next(iter(self._waiting.values())).number
        for one in self._waiting.values():
            _tell(one.told, told=False)
        self._waiting.clear()
        everything = Purge(Kind.ALL)
        self._purge(everything)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[everything] = _Waiting(everything, first, future)


def _nobody() -> None:
    """Nobody is there yet to be woken."""


def _tell(future: asyncio.Future[bool], *, told: bool) -> None:
    if not future.done():
        future.set_result(told)


def _written(purge: Purge, instance: str) -> bytes:
    host = None if purge.host is None else purge.host.decode("latin-1")
    return orjson.dumps([instance, purge.kind.value, purge.value.decode("latin-1"), host, purge.soft])


def _sender(text: bytes) -> object:
    try:
        return orjson.loads(text)[0]
    except (ValueError, TypeError, LookupError):
        return None


def _read(text: bytes) -> Purge:
    """A purge; of everything where it cannot be read: another version's, and it means something."""
    try:
        _, kind, value, host, soft = orjson.loads(text)
        if type(soft) is not bool:
            raise Garbage("not a flag")
        return Purge(Kind(kind), value.encode("latin-1"), None if host is None else host.encode("latin-1"), soft)
    except (ValueError, TypeError, AttributeError):
        return Purge(Kind.ALL)
