"""What leaves a full cache: S3-FIFO, three queues in which nothing moves when it is hit.

      put ──> small ──(hit meanwhile)──> main ──(not hit for a round)──> out
                │                          ^
                └──(not hit)──> out, remembered ──(put again)┘

A tenth of the room is for what has just come. What is not asked for again before it has passed through it leaves, so
a scan of things that are asked for once flushes a tenth and no more; a mark of it stays, and should it come again it
is one for the main queue. There each hit, up to three of them, is worth one more round. (Yang and others, "FIFO
queues are all you need for cache eviction", SOSP 2023.)

A hit costs its caller one addition. Room is entries and bytes, whichever runs out first.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

_MOST_ROUNDS = 3
#: The part of the room that is for what has just come: one in so many.
_SMALL = 10


class Kept:
    """Something in the cache; whoever finds it adds one to `hits`."""

    __slots__ = ("counted", "expires", "hits", "in_main", "mark", "size")

    def __init__(self, mark: int, size: int, expires: float) -> None:
        #: The hash by which it is known again.
        self.mark = mark
        #: Bytes.
        self.size = size
        #: From when on it is of no use to anybody, so that no hit is worth a round.
        self.expires = expires
        self.hits = 0
        #: Of the hits, those that were counted for rounds.
        self.counted = 0
        self.in_main = False


_Kept = TypeVar("_Kept", bound=Kept)


class S3Fifo(Generic[_Kept]):
    """The queues. Times are those of `expires`."""

    __slots__ = ("_entries", "_gone", "_main", "_most_bytes", "_small", "_small_bytes", "size")

    def __init__(self, entries: int, most_bytes: int) -> None:
        self._entries = entries
        self._most_bytes = most_bytes
        self._small: OrderedDict[_Kept, None] = OrderedDict()
        self._main: OrderedDict[_Kept, None] = OrderedDict()
        #: Marks of what has left the small queue, as many as the main one has.
        self._gone: OrderedDict[int, None] = OrderedDict()
        #: Bytes of all.
        self.size = 0
        self._small_bytes = 0

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    def resize(self, entries: int, most_bytes: int) -> None:
        """Have other room."""
        self._entries = entries
        self._most_bytes = most_bytes

    def over(self, entries: int = 0, size: int = 0) -> bool:
        """Whether there is less than no room once so much has been added."""
        return len(self) + entries > self._entries or self.size + size > self._most_bytes

    def add(self, one: _Kept) -> None:
        """Take it in."""
        self.size += one.size
        if one.mark in self._gone:
            del self._gone[one.mark]
            one.in_main = True
            self._main[one] = None
        else:
            one.in_main = False
            self._small[one] = None
            self._small_bytes += one.size

    def remove(self, one: _Kept) -> None:
        """Let it go for another reason than want of room."""
        self.size -= one.size
        if one.in_main:
            del self._main[one]
        else:
            del self._small[one]
            self._small_bytes -= one.size

    def change(self, one: _Kept, size: int, expires: float) -> None:
        """It has become another size, and lasts longer or shorter."""
        self.size += size - one.size
        if not one.in_main:
            self._small_bytes += size - one.size
        one.size = size
        one.expires = expires

    def clear(self) -> None:
        """Let everything go."""
        self._small.clear()
        self._main.clear()
        self._gone.clear()
        self.size = self._small_bytes = 0

    def evict(self, now: float) -> _Kept:
        """Take out what has to go next. KeyError where there is nothing."""
        while True:
            from_small = self._small_is_full() or not self._main
            one = next(iter(self._small if from_small else self._main), None)
            if one is None:
                raise KeyError("nothing is there")
            rounds = 0 if one.expires <= now else min(one.hits - one.counted, _MOST_ROUNDS)
            if from_small:
                if rounds:
                    self._promote(one)
                    continue
                self.remove(one)
                self._remember(one.mark)
                return one
            if rounds:
                one.counted = one.hits - rounds + 1
                self._main.move_to_end(one)
                continue
            self.remove(one)
            return one

    def _small_is_full(self) -> bool:
        return len(self._small) * _SMALL > self._entries or self._small_bytes * _SMALL > self._most_bytes

    def _promote(self, one: _Kept) -> None:
        del self._small[one]
        self._small_bytes -= one.size
        one.counted = one.hits
        one.in_main = True
        self._main[one] = None

    def _remember(self, mark: int) -> None:
        self._gone[mark] = None
        while len(self._gone) > max(len(self._main), self._entries // _SMALL + 1):
            self._gone.popitem(last=False)
