"""What is kept of flags' changes, and what a place to keep them promises. One contract suite holds all of them to it.

A store never forgets by itself: what it once knew stays `live` while the server or the file is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from gateway.rules.flags.compiling import Wrong
from gateway.rules.flags.layers import Value

#: Changes of a flag that are kept, and flags that have a live value.
MOST_CHANGES, MOST_FLAGS = 100, 1000

#: How a part does, as /health has it.
State = tuple[Literal["healthy", "degraded"], str]


class Change(NamedTuple):
    """A flag's live value from one moment on."""

    flag: str
    #: None: it was taken away.
    value: Value | None
    who: str
    why: str
    #: Seconds since 1970; a store gives it when it keeps the change.
    when: float = 0.0


class WrongChange(Exception):
    """A change that is refused whole, with everything that is wrong with it.

    Places are keys of the changed flag, or `define`, another flag's name and its key where the change would break it.
    """

    def __init__(self, mistakes: Sequence[Wrong]) -> None:
        super().__init__("; ".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


class NoSuchFlag(LookupError):
    """No flag of this name is defined; `nearest` is what may have been meant, or empty."""

    def __init__(self, name: str, nearest: str) -> None:
        super().__init__(name)
        self.nearest = nearest


class Store(Protocol):
    """Where live values are kept. `start` it and `close` it on one event loop.

    What cannot be asked or written raises `state.ports.Unavailable`, whose text says why.
    """

    #: In a word, for people: `redis`, `file`, `memory`.
    kept: str
    #: Is called on the event loop after `live` has changed.
    learned: Callable[[], None]

    @property
    def live(self) -> Mapping[str, Change]:
        """The last change of each flag that was ever changed, as far as it is known. Replaced whole."""

    @property
    def known(self) -> bool:
        """Whether what is kept has been read at all."""

    @property
    def mark(self) -> bytes:
        """Tells this `live` from any other, on all replicas."""

    async def start(self) -> None:
        """Read what is kept, if it can be had within 3 s, and follow it from now on."""

    async def close(self) -> None:
        """End."""

    async def put(self, change: Change, upon: bytes) -> bool:
        """Keep a change, and its history, made upon the `live` of this mark; `live` has it then.

        False, with nothing kept, where somebody has changed something since; `live` has that then.
        """

    async def history(self, flag: str, most: int) -> list[Change]:
        """A flag's last changes, the latest first."""

    def health(self) -> State:
        """For /health."""
