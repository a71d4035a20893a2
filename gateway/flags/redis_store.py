"""Live values in a Redis that replicas share: `ports.Store`.

Each flag has its last change there, with the server's time of it; of two, the later counts, wherever it is found. So
replicas and server can be merged in any order: a server that comes back empty, or that took over and lacks the last
changes, is told what the replicas know. A change is made upon all that is there, which a mark tells from what was
there before: who made it upon something else makes it again.

The mark is published with each change, and asked for every half second (state/keeper.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from secrets import token_bytes
from typing import NamedTuple

from gateway.background import Bug
from gateway.flags.codec import Garbage, decoded, encoded
from gateway.flags.merging import NOTHING, Learned, Live, later, merged, missing, nobody
from gateway.flags.ports import MOST_CHANGES, MOST_FLAGS, Change, State
from gateway.state.availability import Availability, Moved
from gateway.state.keeper import Keeper
from gateway.state.ports import Unavailable
from gateway.state.redis_calls import Calls, Run
from gateway.state.redis_client import PATIENCE, RedisTls
from gateway.state.redis_scripts import Script
from gateway.state.redis_url import RedisUrl

#: Calls in a row that fail before the server counts as gone, and seconds until it is tried again: no request waits.
_FAILURES, _RESET = 3, 1.0
#: Changes that are told at once.
_AT_ONCE = 50

_FLAGS = Script("flags", "gateway.flags")


class _Calls(Calls):
    """What else is asked of the server."""

    async def last(self, key: bytes, most: int) -> list[bytes]:
        """The end of a list."""
        commands = self._client.commands
        return list(await self.ask(lambda: commands.execute_command("LRANGE", key, -most, -1), self._patience))


class _Answer(NamedTuple):
    """What the script returns; None for the changes where they are those of the mark that was known."""

    status: bytes
    mark: bytes
    theirs: Live | None


class _Bus:
    """This replica's knowledge of what is kept. See `keeper.Bus`."""

    def __init__(self, prefix: bytes, learned: Learned) -> None:
        self._prefix = prefix
        self._flags = prefix + b"live"
        self.channel = prefix + b"changed"
        self.wake = nobody
        self.live = NOTHING
        self.mark = b""
        self.known = False
        #: Whether the server may lack something, whatever its mark.
        self._untold = False
        self._learned = learned

    def history(self, flag: str) -> bytes:
        """The key of a flag's last changes."""
        return self._prefix + b"history:" + flag.encode("utf-8", "replace")

    async def exchange(self, run: Run) -> None:
        """See `keeper.Bus`."""
        answer = await self._ask(run, b"*", ())
        lacked = [] if answer.theirs is None else missing(self.live, answer.theirs)
        self._untold = bool(lacked)
        self._learn(answer)
        for first in range(0, len(lacked), _AT_ONCE):
            self._learn(await self._ask(run, b"*", lacked[first : first + _AT_ONCE]))
        self._untold = False

    async def put(self, run: Run, change: Change, upon: bytes) -> bool:
        """See `ports.Store.put`."""
        before = self.live.get(change.flag)
        answer = await self._ask(run, upon, [change._replace(when=later(0.0, before))])
        self._learn(answer)
        if answer.status == b"full":
            raise Unavailable(f"redis has live values of {MOST_FLAGS} flags, and no more can be")
        return answer.status == b"kept"

    def heard(self, message: bytes) -> None:
        """See `keeper.Bus`."""
        if message != self.mark:
            self.wake()

    async def _ask(self, run: Run, upon: bytes, changes: Sequence[Change]) -> _Answer:
        keys = [self._flags, *(self.history(one.flag) for one in changes)]
        known = b"?" if self._untold else self.mark
        new = token_bytes(8).hex().encode()
        arguments = [known, new, upon, self.channel, b"%d" % MOST_FLAGS, b"%d" % MOST_CHANGES]
        for one in changes:
            arguments += [one.flag.encode("utf-8", "replace"), b"%d" % round(one.when * 1000), encoded(one)]
        status, mark, *rest = await run(_FLAGS, keys, arguments)
        if not rest:
            return _Answer(bytes(status), bytes(mark), None)
        pairs = iter(rest[0])
        found = {one.flag: one for one in _changes(zip(pairs, pairs, strict=True))}
        return _Answer(bytes(status), bytes(mark), found)

    def _learn(self, answer: _Answer) -> None:
        """Know the later of what was known and what is there."""
        live = merged(self.live, (answer.theirs or {}).values())
        news = live is not self.live or not self.known
        self.live, self.mark, self.known = live, answer.mark, True
        if news:
            self._learned()


class RedisStore:
    """See `ports.Store`. `moved` is told when the server goes, and when it is back."""

    kept = "redis"

    def __init__(self, url: RedisUrl, tls: RedisTls, name: str, moved: Moved, bug: Bug) -> None:
        """`name` is what all replicas of a gateway have in common.

        Raises OSError when a certificate file cannot be read.
        """
        self.learned = nobody
        self._availability = Availability(_FAILURES, _RESET, self._changed)
        self._calls = _Calls(url, tls, PATIENCE, self._availability)
        self._bus = _Bus(b"{%b}:flags:" % name.encode(), lambda: self.learned())  # noqa: PLW0108 - it is set later
        self._keeper = Keeper("flags.keeper", self._calls, self._bus, self._availability, bug)
        self._moved = moved

    @property
    def live(self) -> Mapping[str, Change]:
        """See `ports.Store`."""
        return self._bus.live

    @property
    def known(self) -> bool:
        """See `ports.Store`."""
        return self._bus.known

    @property
    def mark(self) -> bytes:
        """See `ports.Store`."""
        return self._bus.mark

    @property
    def up(self) -> bool:
        """Whether it is worth asking."""
        return self._availability.up

    async def start(self) -> None:
        """See `ports.Store`."""
        await self._keeper.start()

    async def close(self) -> None:
        """See `ports.Store`."""
        await self._keeper.close()
        await self._calls.close()

    async def put(self, change: Change, upon: bytes) -> bool:
        """See `ports.Store`."""
        try:
            return await self._bus.put(self._calls.run, change, upon)
        except (ValueError, TypeError, LookupError) as error:
            raise self._failed(error) from None

    async def history(self, flag: str, most: int) -> list[Change]:
        """See `ports.Store`."""
        lines = await self._calls.last(self._bus.history(flag), MOST_CHANGES)
        try:
            # One that was told to a server again stands there twice, and later than it was made.
            found = {one.when: one for one in _changes((flag.encode("utf-8", "replace"), line) for line in lines)}
        except TypeError as error:
            raise self._failed(error) from None
        return [found[when] for when in sorted(found, reverse=True)[:most]]

    def health(self) -> State:
        """See `ports.Store`."""
        if self.up:
            return "healthy", ""
        values = "the last known values stay" if self.known else "the config file's values are in force"
        return "degraded", f"redis cannot be asked ({self._availability.why}); {values}, and nothing can be changed"

    # ---- inside

    def _failed(self, error: Exception) -> Unavailable:
        why = f"an answer that makes no sense ({type(error).__name__})"
        self._availability.failed(1, why)
        return Unavailable(why)

    def _changed(self, up: bool, why: str) -> None:
        self._keeper.look()
        self._moved(up, why)


def _changes(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[Change]:
    """Those that can be read; another version's are nobody's."""
    for name, line in pairs:
        when, colon, data = line.partition(b":")
        if name and colon and when.isdigit() and len(when) < 16:
            try:
                yield decoded(name.decode(), int(when) / 1000, data)
            except (Garbage, UnicodeDecodeError):
                continue
