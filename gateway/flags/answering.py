"""Flags' answers, ready to be told: the value that a flag has for a request, its header line, and its count.

An answer is made when definitions are compiled and shared between requests, so a flag's few answers are known by
their ids, and what has to be told of each is made once. Counts belong to names and outlive changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from weakref import WeakSet, finalize

from gateway.flags.said import Said
from gateway.flags.together import Together, UsualFlag
from gateway.rules.flags.answer import OFF, STATIC, Answer, Variant
from gateway.rules.flags.context import Asked
from gateway.rules.flags.flag import Flag
from gateway.rules.flags.flag_set import FlagSet

#: What a flag without a variant is, in a header, a metric and a key.
ON_VALUE, OFF_VALUE = "on", "off"
#: Variants of one flag that are counted apart, and what the others are counted as.
MOST_VALUES, OTHER = 100, "_OTHER"
#: Answers of one flag that are known by their ids; past it, something makes them anew each time.
_MOST_ANSWERS = 1000

_ON = Answer(True, STATIC)


def value_of(answer: Answer) -> str:
    """`on`, `off`, or the variant's name."""
    return answer.variant.name if answer.variant is not None else ON_VALUE if answer.on else OFF_VALUE


class Tally:
    """All that flags have said in this process."""

    def __init__(self) -> None:
        #: Books in use.
        self.books: WeakSet[Book] = WeakSet()
        self._said: dict[str, dict[tuple[str, bool], Said]] = {}

    def said(self, flag: str, answer: Answer) -> Said:
        """The place of an answer."""
        values = self._said.setdefault(flag, {})
        key = value_of(answer), answer.on
        if key not in values:
            values[key] = Said(flag, key[0], on=answer.on)
        return values[key]

    def keep(self, flags: Mapping[str, object]) -> None:
        """Let go of flags that are no more, and of the counts of one that has had too many variants."""
        for name, values in list(self._said.items()):
            if name not in flags or len(values) > 2 * MOST_VALUES:
                del self._said[name]

    def counts(self) -> Iterator[tuple[str, str, int]]:
        """Each flag, what it said, and how often."""
        for book in list(self.books):
            _count(book.told)
        for name, values in self._said.items():
            by_value: dict[str, int] = {}
            for said in values.values():
                value = said.value if said.value in by_value or len(by_value) < MOST_VALUES else OTHER
                by_value[value] = by_value.get(value, 0) + said.count
            yield from ((name, value, count) for value, count in by_value.items())


class Asking:
    """A flag, ready to be asked: by the id of what it answers it knows what is to be told."""

    __slots__ = ("_evaluate", "_kept", "_says", "_tally", "name", "usual")

    def __init__(self, name: str, flag: Flag | None, tally: Tally) -> None:
        self.name = name
        self._evaluate = _off if flag is None else flag.evaluate
        self._says: dict[int, Said] = {}
        # An id is an answer's only as long as that is there.
        self._kept: list[Answer] = []
        self._tally = tally
        #: What it asks, and what it says to who is let in by that and to everybody else; None for any other flag.
        self.usual: UsualFlag | None = None
        if flag is not None and flag.usual is not None:
            usual, answers = flag.usual
            self.usual = UsualFlag(usual, self._learn(answers[0]), self._learn(answers[-1]))

    def ask(self, asked: Asked) -> Said:
        """What it says to a request, not counted yet."""
        answer = self._evaluate(asked)
        return self._says.get(id(answer)) or self._learn(answer)

    def _learn(self, answer: Answer) -> Said:
        said = self._tally.said(self.name, answer)
        if len(self._kept) < _MOST_ANSWERS:
            self._kept.append(answer)
            self._says[id(answer)] = said
        return said


class Book:
    """A set of flags with what they say; another set has another book."""

    __slots__ = ("__weakref__", "_asking", "_tally", "flag_set", "told")

    def __init__(self, flag_set: FlagSet, tally: Tally) -> None:
        self.flag_set = flag_set
        self._tally = tally
        self._asking: dict[str, Asking] = {}
        tally.keep(flag_set.flags)
        #: Flags that are told together, by their names.
        self.told: dict[tuple[str, ...], Together] = {}
        tally.books.add(self)
        finalize(self, _count, self.told).atexit = False

    def together(self, names: Sequence[str]) -> tuple[Together, tuple[str, ...]]:
        """These flags, to be told together, and the names of those that must be asked one by one."""
        found = {name: self.asking(name).usual for name in names}
        usual = {name: flag for name, flag in found.items() if flag is not None}
        key = tuple(usual)
        if key not in self.told:
            self.told[key] = Together(usual)
        return self.told[key], tuple(name for name in found if name not in usual)

    def asking(self, name: str) -> Asking:
        """A flag, ready to be asked; one that there is not is off."""
        found = self._asking.get(name)
        if found is None:
            flag = self.flag_set.flags.get(name)
            found = Asking(name, flag, self._tally)
            if flag is not None:
                self._asking[name] = found
        return found

    def ask(self, name: str, asked: Asked) -> Said:
        """What a flag says to a request, counted."""
        said = self.asking(name).ask(asked)
        said.count += 1
        return said

    def forced(self, name: str, value: str, asked: Asked) -> Said | None:
        """What a flag is made to say, counted; None where it has no such value, or there is no such flag."""
        flag = self.flag_set.flags.get(name)
        if flag is None:
            return None
        if value == OFF_VALUE:
            answer = OFF
        elif value == ON_VALUE:
            answer = _ON if flag.variants is None else flag.variants.choose(asked)
        elif value in _variants(flag):
            answer = Answer(True, STATIC, Variant(value))
        else:
            return None
        said = self._tally.said(name, answer)
        said.count += 1
        return said


def _variants(flag: Flag) -> set[str]:
    sets = [flag.variants, *(strategy.variants for strategy in flag.strategies)]
    return {name for one in sets if one is not None for name in one.names}


def _count(told: Mapping[tuple[str, ...], Together]) -> None:
    for together in told.values():
        together.count()


def _off(asked: Asked) -> Answer:  # noqa: ARG001 - whoever asks
    return OFF
