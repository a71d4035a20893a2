"""Where a shared tier keeps what: keys under the gateway's name, all with its one hash tag (state/redis_codec.py).

Requests' keys are digested, so none is long, and none shows what was asked for to whoever may list keys.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from gateway.cache.entry import Values
from gateway.cache.turns import Place
from gateway.rules import vary
from gateway.rules.vary import Names

#: Different Vary fields remembered of one resource.
MOST_LISTS = 4
#: Resources whose names are remembered here.
_REMEMBERED = 4096


class Places:
    """The keys of one gateway, and the names by which it lately saw resources' responses differ."""

    def __init__(self, name: str) -> None:
        #: What all of them begin with.
        self.prefix = b"{%b}:cache:" % name.encode()
        self._names: OrderedDict[bytes, tuple[Names, ...]] = OrderedDict()

    def record(self, key: bytes) -> bytes:
        """Of a resource: its response, or the names by which its responses differ."""
        return self.prefix + b"e:" + _digest(key)

    def variant(self, key: bytes, nominated: Names, secondary: bytes) -> bytes:
        """Of one of a resource's responses."""
        return self.prefix + b"v:" + _digest(key, *nominated, secondary)

    def variants(self, key: bytes, lists: Sequence[Names], values: Values) -> list[bytes]:
        """Of those that a request may have."""
        return [self.variant(key, nominated, vary.secondary(nominated, values)) for nominated in lists]

    def turn(self, key: bytes, values: Values) -> Place:
        """Of the turn to fetch what a request wants: requests for different responses do not wait for each other."""
        lists = self.names(key)
        what = self.variants(key, lists[:1], values)[0] if lists else self.record(key)
        digest = _digest(what)
        return Place(self.prefix + b"l:" + digest, self.prefix + b"m:" + digest, self.record(key))

    def names(self, key: bytes) -> tuple[Names, ...]:
        """The lists of names seen last, the latest first."""
        return self._names.get(key, ())

    def see(self, key: bytes, lists: Sequence[Names]) -> None:
        """Remember them, or that there are none."""
        self._names.pop(key, None)
        if lists:
            self._names[key] = tuple(lists[:MOST_LISTS])
            if len(self._names) > _REMEMBERED:
                self._names.popitem(last=False)


def _digest(*parts: bytes) -> bytes:
    return blake2b(b"".join([b"%d:%b" % (len(part), part) for part in parts]), digest_size=16).hexdigest().encode()
