"""Regular expressions of the kind that Unleash compares with: RE2's, which cost no more than their text is long.

Python's own go back and try again, and some patterns do so for ages on a text made for it; what is compared here is
what a client sent. So patterns are read here (https://github.com/google/re2/wiki/Syntax) and run by `automaton`.
References to groups and looks ahead or behind are no part of them; Unicode's classes (`\\p{…}`) are not known here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from gateway.rules.flags.automaton import (
    BEGIN,
    END,
    LINE_BEGIN,
    LINE_END,
    NO_WORD_EDGE,
    WORD_EDGE,
    Assertion,
    Automaton,
    Chars,
    Choice,
    Node,
    Repeat,
    Row,
)

#: Characters of a pattern, groups within groups, and times that something may be repeated.
LONGEST, DEEPEST, MOST_TIMES = 1000, 50, 1000

_LAST = 0x10FFFF
Ranges = tuple[tuple[int, int], ...]

_DIGIT: Ranges = ((48, 57),)
_SPACE: Ranges = ((9, 10), (12, 13), (32, 32))
_WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_PERL = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
_POSIX: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": _DIGIT,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": _WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
_CONTROL = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_EDGES = {"A": BEGIN, "z": END, "b": WORD_EDGE, "B": NO_WORD_EDGE}

_times = re.compile(r"\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}").match
_posix = re.compile(r"\[:(\^?)([a-z]+):\]").match
_hex = re.compile(r"x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})").match
_octal = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{1,2}").match
_group = re.compile(r"\((?:\?(?:P?<([A-Za-z_][A-Za-z0-9_]*)>|([imsU]*)(?:-([imsU]+))?([:)])))?").match


def compiled(text: str, *, ignore_case: bool = False) -> Callable[[str], bool]:
    """Whether a pattern occurs in a text. Raises ValueError for what is no such pattern, and for one too large."""
    if len(text) > LONGEST:
        raise ValueError(f"a pattern has at most {LONGEST} characters")
    return Automaton(_Parser(text, ignore_case).whole()).search


class _Parser:
    """Reads a pattern from left to right, by descent."""

    __slots__ = ("_at", "_depth", "_flags", "_text")

    def __init__(self, text: str, ignore_case: bool) -> None:
        self._text: Final = text
        self._at = 0
        self._depth = 0
        self._flags = frozenset("i") if ignore_case else frozenset()

    def whole(self) -> Node:
        node = self._choice()
        if self._at < len(self._text):
            raise self._wrong("a closing ) without its opening one")
        return node

    def _wrong(self, message: str) -> ValueError:
        return ValueError(f"the pattern has {message}, at character {self._at + 1}")

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _choice(self) -> Node:
        flags = self._flags
        branches = [self._row()]
        while self._next() == "|":
            self._at += 1
            branches.append(self._row())
        self._flags = flags
        return branches[0] if len(branches) == 1 else Choice(branches)

    def _row(self) -> Node:
        found: list[Node] = []
        while self._next() not in ("", "|", ")"):
            found += self._repeated(self._one())
        return Row(found)

    def _repeated(self, nodes: list[Node]) -> list[Node]:
        """What has just been read with what says how often; of a quoted text that is the last character."""
        least, most = self._count()
        if least is None:
            return nodes
        if not nodes:
            raise self._wrong("a repetition of nothing")
        if self._next() == "?":  # as few as possible: no difference to whether there is a match
            self._at += 1
        again, _ = self._count(look=True)
        if again is not None:
            raise self._wrong("a repetition of a repetition")
        return [*nodes[:-1], Repeat(nodes[-1], least, most)]

    def _count(self, *, look: bool = False) -> tuple[int | None, int | None]:
        sign = self._next()
        size, least, most = 1, 0, None
        if sign == "+":
            least = 1
        elif sign == "?":
            most = 1
        elif sign == "{" and (found := _times(self._text, self._at)):
            least, size = int(found[1]), len(found[0])
            most = int(found[3]) if found[3] else None if found[2] else least
            if max(least, most or 0) > MOST_TIMES or (most is not None and most < least):
                raise self._wrong("an impossible number of times")
        elif sign != "*":
            return None, None
        self._at += 0 if look else size
        return least, most

    def _one(self) -> list[Node]:
        char = self._next()
        if char == "(":
            return self._in_group()
        self._at += 1
        if char == "[":
            return [self._class()]
        if char == "\\":
            return self._escaped()
        if char == ".":
            return [self._chars(((0, _LAST),) if "s" in self._flags else ((0, 9), (11, _LAST)))]
        if char == "^":
            return [Assertion(LINE_BEGIN if "m" in self._flags else BEGIN)]
        if char == "$":
            return [Assertion(LINE_END if "m" in self._flags else END)]
        if char in "*+?":
            self._at -= 1
            raise self._wrong("a repetition of nothing")
        return [self._char(ord(char))]

    def _in_group(self) -> list[Node]:
        found = _group(self._text, self._at)
        if found is None or (found[4] is None and found[1] is None and self._text.startswith("(?", self._at)):
            raise self._wrong("a group of a kind that there is not")
        flags = self._flags
        self._at += len(found[0])
        if found[4]:
            self._flags = (flags | frozenset(found[2] or "")) - frozenset(found[3] or "")
            if found[4] == ")":  # from here to the end of the group around
                return []
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(f"more than {DEEPEST} groups in one another")
        node = self._choice()
        self._depth -= 1
        if self._next() != ")":
            raise self._wrong("an opening ( without its closing one")
        self._at += 1
        self._flags = flags
        return [node]

    def _escaped(self) -> list[Node]:
        char = self._next()
        if char in _EDGES:
            self._at += 1
            return [Assertion(_EDGES[char])]
        if char == "Q":
            end = self._text.find("\\E", self._at)
            quoted = self._text[self._at + 1 : end if end >= 0 else None]
            self._at = end + 2 if end >= 0 else len(self._text)
            return [self._char(ord(one)) for one in quoted]
        if char == "E":
            self._at += 1
            return []
        return [self._chars(self._escape())]

    def _escape(self) -> Ranges:
        """What follows a backslash and stands for characters, in a class or outside."""
        char = self._next()
        if found := _hex(self._text, self._at):
            self._at += len(found[0])
            code = int(found[1] or found[2], 16)
            if code > _LAST:
                raise self._wrong("a character that there is not")
            return ((code, code),)
        if found := _octal(self._text, self._at):
            self._at += len(found[0])
            return ((int(found[0], 8),) * 2,)
        self._at += 1
        if char.lower() in _PERL and char:
            ranges = _PERL[char.lower()]
            return ranges if char.islower() else _complement(ranges)
        if char in _CONTROL:
            return ((_CONTROL[char],) * 2,)
        if not char or char.isalnum() or ord(char) > 127:
            self._at -= 1
            raise self._wrong(f"an escape that there is not, \\{char}")
        return ((ord(char),) * 2,)

    def _class(self) -> Node:
        negated = self._next() == "^"
        self._at += negated
        ranges: list[tuple[int, int]] = []
        first = True
        while self._next() != "]" or first:
            first = False
            if found := _posix(self._text, self._at):
                if found[2] not in _POSIX:
                    raise self._wrong(f"a class that there is not, {found[2]}")
                self._at += len(found[0])
                ranges += _complement(_POSIX[found[2]]) if found[1] else _POSIX[found[2]]
                continue
            begin = self._class_char()
            after = self._text[self._at + 1 : self._at + 2]
            if self._next() == "-" and after not in ("]", "") and _is_one(begin):
                self._at += 1
                end = self._class_char()
                if not _is_one(end) or end[0][0] < begin[0][0]:
                    raise self._wrong("a range that runs backwards")
                ranges.append((begin[0][0], end[0][0]))
            else:
                ranges += begin
        self._at += 1
        return self._chars(tuple(ranges), negated)

    def _class_char(self) -> Ranges:
        char = self._next()
        if not char:
            raise self._wrong("an opening [ without its closing one")
        self._at += 1
        return self._escape() if char == "\\" else ((ord(char),) * 2,)

    def _char(self, code: int) -> Chars:
        return self._chars(((code, code),))

    def _chars(self, ranges: Ranges, negated: bool = False) -> Chars:
        return Chars(ranges, negated, "i" in self._flags)


def _is_one(ranges: Ranges) -> bool:
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


def _complement(ranges: Ranges) -> Ranges:
    found, begin = [], 0
    for low, high in sorted(ranges):
        if low > begin:
            found.append((begin, low - 1))
        begin = max(begin, high + 1)
    return (*found, (begin, _LAST)) if begin <= _LAST else tuple(found)
