"""What `require:` and `when:` want of flags: that one is on, perhaps as one of some variants, or that it is off."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from gateway.rules.flags.flag import Prerequisite
from gateway.settings.mistakes import shown
from gateway.settings.types import Alternative, Section, Several, Switch, Text

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,99}")


def parse_flag(text: str) -> str:
    """A flag's name: it stands in a URL, in a header field's name, and as a metric's label."""
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{shown(text)} cannot be a flag's name: 1 to 100 letters, digits and ._~-, as in NEW_SEARCH"
        )
    return str(text)


def _variant(text: str) -> str:
    if not 0 < len(text) <= 100:
        raise ValueError("a variant's name is 1 to 100 characters")
    return str(text)


FLAG = Text(read=parse_flag)


class Wanted(Section):
    """What is wanted of one flag."""

    flag: Annotated[str, FLAG]
    """Its name under `flags.define`."""
    variant: Annotated[tuple[Annotated[str, Text(read=_variant)], ...], Field(max_length=1000), Several()] = ()
    """It is on as this variant, or as one of these; any where it is not written."""
    on: Annotated[bool, Switch()] = True
    """`false`: it is off."""

    def model_post_init(self, _: object) -> None:
        """Raises ValueError for what does not go together."""
        if self.variant and not self.on:
            raise ValueError("a flag that is off has no variant: write variant, or on: false")

    @property
    def rule(self) -> Prerequisite:
        """As the rule that decides has it."""
        return Prerequisite(self.flag, self.on, frozenset(self.variant))

    def __str__(self) -> str:
        return str(self.rule)


#: How each is written: a mapping, or a flag's name for `{flag: NAME}`.
EACH = Alternative(short=FLAG, key="flag")

#: All of these must hold; none where nothing is written.
Wants = Annotated[tuple[Annotated[Wanted, EACH], ...], Field(max_length=1000), Several()]
