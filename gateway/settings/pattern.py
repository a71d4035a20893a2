"""A route's `path` and `strip_prefix`: which texts are well-formed, and which pattern leaves nothing to another.

What a well-formed pattern matches is `gateway.rules.routing`'s business.
"""

from __future__ import annotations

import re

from gateway.rules.routing import Pattern
from gateway.settings.mistakes import shown

_LITERAL = re.compile(r"([A-Za-z0-9._~!$&'()*+,;=@:-]|%[0-9A-Fa-f]{2})*")
_PARAMETER = re.compile(r":[A-Za-z_][A-Za-z0-9_]*")
_DOTS = re.compile(r"(\.|%2e){1,2}", re.IGNORECASE)
_LONGEST = 1000


def parse_pattern(text: str) -> str:
    """`/a` (exact), `/users/:id` (one segment), `/static/**` (a subtree with its root), `/**` (everything)."""
    if not text.startswith("/"):
        raise ValueError(f"{shown(text)} does not begin with a slash")
    if len(text) > _LONGEST:
        raise ValueError(f"a pattern has at most {_LONGEST} characters")
    segments = text[1:].split("/")
    for segment in segments[:-1]:
        if segment == "**":
            raise ValueError(f"{shown(text)}: ** can only be the last segment")
        if segment == "":
            raise ValueError(f"{shown(text)} has an empty segment; // counts as / when a path is matched")
        _check_segment(segment, text)
    if segments[-1] != "**":
        _check_segment(segments[-1], text)
    return str(text)


def _check_segment(segment: str, text: str) -> None:
    if segment.startswith(":"):
        if not _PARAMETER.fullmatch(segment):
            raise ValueError(f"{shown(text)} has a parameter without a proper name, as in :id")
    elif "*" in segment:
        raise ValueError(f"{shown(text)}: use :name for one segment, or /** at the end for a subtree")
    elif "{" in segment or "}" in segment:
        raise ValueError(f"{shown(text)}: a parameter is written :id, not {{id}}")
    elif "?" in segment or "#" in segment:
        raise ValueError(f"{shown(text)}: a pattern matches the path only, so it has no ? or #")
    elif _DOTS.fullmatch(segment):
        raise ValueError(f"{shown(text)} has a dot segment, which is resolved before a path is matched")
    elif not _LITERAL.fullmatch(segment):
        raise ValueError(f"{shown(text)} has a character that a path cannot have; write it as %XX")


def parse_prefix(text: str) -> str:
    """A `strip_prefix`: whole literal segments, as in `/openai`."""
    if text.endswith("/"):
        raise ValueError(f"{shown(text)} ends in a slash: a prefix is whole segments, as in /openai")
    pattern = parse_pattern(text)
    if any(segment.startswith(":") or segment == "**" for segment in pattern.split("/")):
        raise ValueError(f"{shown(text)}: a prefix has no parameters and no **")
    return pattern


def begins_with(pattern: str, prefix: str) -> bool:
    """Whether every path that the pattern matches begins with the prefix's segments."""
    return f"{pattern}/".startswith(f"{prefix}/")


def covers(one: Pattern, other: Pattern) -> bool:
    """Whether the first pattern matches every path that the other does."""
    if other.subtree and not one.subtree:
        return False
    if len(other.segments) < len(one.segments) or (len(other.segments) > len(one.segments) and not one.subtree):
        return False
    return all(
        mine == theirs if mine is not None else theirs != b""
        for mine, theirs in zip(one.segments, other.segments, strict=False)
    )
