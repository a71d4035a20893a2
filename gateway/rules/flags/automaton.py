"""Whether a regular expression occurs in a text, in time that grows with the text and not faster.

The expression becomes a program of steps (Thompson's construction); a text is read once, character by character, with
all places of the program that could have been reached so far. Such sets of places are states, remembered with where
each character leads from them, so that most texts cost a look-up a character. What is remembered is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

#: Steps of a program, and characters of a text that is looked at; a longer one never matches.
MOST_STEPS, LONGEST = 500, 1024
_MOST_REMEMBERED = 1024  # leads from a state to the next: what a client can make it remember, for each pattern

BEGIN, END, LINE_BEGIN, LINE_END, WORD_EDGE, NO_WORD_EDGE = range(6)


@dataclass(frozen=True, slots=True)
class Chars:
    """One character in, or with `negated` outside, these ranges; with `fold` in either case."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False
    fold: bool = False

    def has(self, char: str) -> bool:
        """Whether this is one of them."""
        cases = {char, char.lower(), char.upper(), char.casefold()} if self.fold else (char,)
        codes = [ord(case) for case in cases if len(case) == 1]
        return any(low <= code <= high for low, high in self.ranges for code in codes) != self.negated


class Assertion(NamedTuple):
    """What must hold between two characters."""

    kind: int


class Row(NamedTuple):
    """One after the other."""

    nodes: list[Node]


class Choice(NamedTuple):
    """One of these."""

    nodes: list[Node]


class Repeat(NamedTuple):
    """From `least` to `most` times; None is for ever."""

    node: Node
    least: int
    most: int | None


Node = Chars | Assertion | Row | Choice | Repeat


class _Split(NamedTuple):
    """Go on at both places."""

    one: int
    other: int


class _State:
    """Places that could have been reached, and after which character."""

    __slots__ = ("at_end", "before", "leads", "places")

    def __init__(self, places: frozenset[int], before: str) -> None:
        self.places, self.before = places, before
        self.leads: dict[str, _State | None] = {}  # None: it has matched
        self.at_end: bool | None = None


class Automaton:
    """A program and what is remembered of running it. Raises ValueError where it would be too long."""

    __slots__ = ("_first", "_program", "_remembered", "_states")

    def __init__(self, node: Node) -> None:
        # A step's successor is the next one; a jump is a split to one place. None ends the program.
        self._program: list[Chars | Assertion | _Split | None] = []
        self._write(node)
        self._program.append(None)
        self._forget()

    def search(self, text: str) -> bool:
        """Whether it occurs anywhere in a text."""
        if len(text) > LONGEST:
            return False
        state = self._first
        for char in text:
            try:
                following = state.leads[char]
            except KeyError:
                following = self._step(state, char)
            if following is None:
                return True
            state = following
        if state.at_end is None:
            state.at_end = self._reached(state, "")[1]
        return state.at_end

    def _forget(self) -> None:
        self._remembered = 0
        self._first = _State(frozenset((0,)), "")
        self._states = {(self._first.places, ""): self._first}

    def _step(self, state: _State, char: str) -> _State | None:
        if self._remembered >= _MOST_REMEMBERED:
            self._forget()
        self._remembered += 1
        reached, matched = self._reached(state, char)
        if matched:
            state.leads[char] = None
            return None
        places = {place + 1 for place, chars in reached if chars.has(char)}
        key = (frozenset((0, *places)), _kind(char))
        following = self._states.get(key)
        if following is None:
            following = self._states[key] = _State(*key)
        state.leads[char] = following
        return following

    def _reached(self, state: _State, after: str) -> tuple[list[tuple[int, Chars]], bool]:
        """Where a character is read from a state's places, and whether the program's end is reached without one."""
        found: list[tuple[int, Chars]] = []
        left = list(state.places)
        seen = set(left)
        while left:
            place = left.pop()
            step = self._program[place]
            if step is None:
                return [], True
            if isinstance(step, Chars):
                found.append((place, step))
                continue
            if isinstance(step, _Split):
                following: tuple[int, ...] = step
            else:
                following = (place + 1,) if _holds(step.kind, state.before, _kind(after)) else ()
            for one in following:
                if one not in seen:
                    seen.add(one)
                    left.append(one)
        return found, False

    def _put(self, step: Chars | Assertion | _Split) -> int:
        if len(self._program) >= MOST_STEPS:
            raise ValueError(f"the pattern is too large: it would take more than {MOST_STEPS} steps")
        self._program.append(step)
        return len(self._program) - 1

    def _write(self, node: Node) -> None:
        if isinstance(node, (Chars, Assertion)):
            self._put(node)
        elif isinstance(node, Row):
            for one in node.nodes:
                self._write(one)
        elif isinstance(node, Choice):
            self._write_choice(node)
        else:
            self._write_repeat(node)

    def _write_choice(self, node: Choice) -> None:
        ends = []
        for one in node.nodes[:-1]:
            split = self._put(_Split(0, 0))
            self._write(one)
            ends.append(self._put(_Split(0, 0)))
            self._program[split] = _Split(split + 1, len(self._program))
        self._write(node.nodes[-1])
        for end in ends:
            self._program[end] = _Split(len(self._program), len(self._program))

    def _write_repeat(self, node: Repeat) -> None:
        for _ in range(node.least):
            before = len(self._program)
            self._write(node.node)
            if len(self._program) == before:  # nothing, however often
                break
        if node.most is None:
            split = self._put(_Split(0, 0))
            self._write(node.node)
            self._put(_Split(split, split))
            self._program[split] = _Split(split + 1, len(self._program))
            return
        splits = []
        for _ in range(node.most - node.least):
            splits.append(self._put(_Split(0, 0)))
            self._write(node.node)
        for split in splits:
            self._program[split] = _Split(split + 1, len(self._program))


def _kind(char: str) -> str:
    """What matters of a neighbour: none, a new line, part of a word (of ASCII), or another."""
    if char in ("", "\n"):
        return char
    return "w" if char == "_" or (char.isascii() and char.isalnum()) else " "


def _holds(kind: int, before: str, after: str) -> bool:
    if kind in (BEGIN, END):
        return (before if kind == BEGIN else after) == ""
    if kind in (LINE_BEGIN, LINE_END):
        return (before if kind == LINE_BEGIN else after) in ("", "\n")
    return ((before == "w") != (after == "w")) == (kind == WORD_EDGE)
