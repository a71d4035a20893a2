"""What the admin API needs of the flags, and the values that both speak in; as ports.py, which has the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypedDict


class WrongFlag(Exception):
    """What cannot be by the config in force, refused whole: each mistake as a JSON pointer, and what is wrong there.

    A definition may be wrong in more ways than a schema can say, and right by one config and wrong by another.
    """

    def __init__(self, mistakes: Sequence[tuple[str, str]]) -> None:
        super().__init__(f"{len(mistakes)} mistakes")
        self.mistakes = tuple(mistakes)


class FlagChange(TypedDict):
    """A flag's live value from one moment on; None: it was taken away. `when` is in seconds since 1970."""

    when: float
    who: str
    why: str
    live: dict[str, Any] | None


class Flag(TypedDict):
    """A flag: its value in force, and what each layer says of it; None where a layer says nothing.

    `ignored` is why the live value is not in force, though it is kept.
    """

    name: str
    enabled: bool
    value: dict[str, Any]
    file: dict[str, Any] | None
    environment: dict[str, Any] | None
    live: dict[str, Any] | None
    changed: FlagChange | None
    ignored: list[str]


class FlagCheck(TypedDict):
    """One thing that was asked; `found` is what the context had there."""

    said: str
    met: bool
    found: str | None


class FlagBucket(TypedDict):
    """Where somebody stands, from 0 to 100, and below what one must be; None where nobody could be told."""

    group: str
    stickiness: str
    who: str | None
    place: float | None
    below: float


class FlagStrategy(TypedDict):
    """One strategy: its conditions as far as they were asked, and its bucket if these were met."""

    strategy: str
    met: bool
    checks: list[FlagCheck]
    bucket: FlagBucket | None


class FlagDraw(TypedDict):
    """How a variant was drawn: 1 to `of`, or by name alone where `drawn` is None."""

    variant: str
    stickiness: str
    drawn: int | None
    of: int


class FlagExplanation(TypedDict):
    """What a flag says to a context, the sentence that it comes down to, and everything that was asked."""

    flag: str
    on: bool
    variant: str
    reason: str
    because: str
    prerequisites: list[FlagCheck]
    guards: list[FlagCheck]
    strategies: list[FlagStrategy]
    draw: FlagDraw | None


class Flags(Protocol):
    """The flags. What is asked by a name raises NotThere."""

    @property
    def kept(self) -> Literal["redis", "file", "memory"]:
        """Where live values are kept; memory forgets them with the process."""

    def all(self) -> list[Flag]:
        """Each, in the config's order."""

    def get(self, name: str) -> Flag:
        """One."""

    async def put(self, name: str, live: dict[str, Any] | None, who: str, why: str) -> Flag:
        """Have this be its whole live value, or none. Raises WrongFlag and Unavailable too."""

    async def patch(self, name: str, live: dict[str, Any], who: str, why: str) -> Flag:
        """Change some keys of its live value; those that are None are left to the layers below. As `put`."""

    async def history(self, name: str, most: int) -> list[FlagChange]:
        """Its last changes, the latest first. Raises Unavailable too."""

    def why(self, name: str, context: dict[str, Any]) -> FlagExplanation:
        """What it says to a context. Raises WrongFlag too, where the context is none."""
