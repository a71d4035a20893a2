"""From what a purge names to what bears it, without a search."""

from __future__ import annotations

from typing import Generic, TypeVar

_Item = TypeVar("_Item")


class Index(Generic[_Item]):
    """Items by names, of which each may have many and share each; most share none, and those take no set."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[bytes, _Item | set[_Item]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, name: bytes, item: _Item) -> None:
        """Have it found by this name."""
        found = self._found.get(name)
        if found is None:
            self._found[name] = item
        elif isinstance(found, set):
            found.add(item)
        elif found is not item:
            self._found[name] = {found, item}

    def remove(self, name: bytes, item: _Item) -> None:
        """Have it no longer found by this name."""
        found = self._found.get(name)
        if found is item:
            del self._found[name]
        elif isinstance(found, set):
            found.discard(item)
            if not found:
                del self._found[name]

    def find(self, name: bytes) -> list[_Item]:
        """What bears a name."""
        found = self._found.get(name)
        return [] if found is None else list(found) if isinstance(found, set) else [found]

    def clear(self) -> None:
        """Forget all."""
        self._found.clear()
