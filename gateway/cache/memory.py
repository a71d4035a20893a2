"""What is remembered of keys for a while: bounded, the oldest forgotten first."""

from __future__ import annotations

from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class Memory(Generic[_Value]):
    """A value for each of at most `most` keys, for so many seconds. `now` is monotonic."""

    __slots__ = ("_kept", "_most")

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._kept: dict[bytes, tuple[float, _Value]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, key: bytes, value: _Value, seconds: float, now: float) -> None:
        """Remember."""
        self._kept.pop(key, None)
        self._kept[key] = (now + seconds, value)
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]

    def get(self, key: bytes, now: float) -> _Value | None:
        """What is remembered."""
        found = self._kept.get(key)
        if found is None:
            return None
        if found[0] > now:
            return found[1]
        del self._kept[key]
        return None

    def forget(self, key: bytes) -> None:
        """Remember no more."""
        self._kept.pop(key, None)
