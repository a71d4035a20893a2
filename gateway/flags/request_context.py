"""A request as flags see it (`rules.flags.context.Asked`), made when the first flag is asked.

What was read stays, and what a flag has said stays said: one request gets one answer, from one set of flags, whatever
is changed meanwhile, to its fields too. It knows the request's head and not the exchange, which knows it: nothing is
left in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from time import time
from typing import TYPE_CHECKING, NamedTuple

from gateway.entropy import Entropy
from gateway.rules.flags import request_field
from gateway.rules.flags.request_field import Read
from gateway.rules.request_head import RequestHead

if TYPE_CHECKING:
    from gateway.flags.answering import Book
    from gateway.flags.said import Said
    from gateway.flags.together import Together

#: Properties that one request's context remembers: more than flags are likely to read.
_REMEMBERED = 256


class Sources(NamedTuple):
    """Where the context's parts are found in a request, each as `request_field` names it; None for nowhere."""

    user: str | None = None
    session: str | None = None
    groups: str | None = None
    #: Constants.
    environment: str | None = None
    app: str | None = None
    #: Further properties by their own names.
    properties: Mapping[str, str] = {}

    def known(self, name: str) -> bool:
        """Whether there is such a property."""
        return name in self.properties or request_field.known(name)

    def fields(self, read: Collection[str]) -> frozenset[bytes]:
        """The request fields that the context is read from, for flags that read these properties."""
        named = [self.user, self.session, self.groups, *self.properties.values(), *read]
        return request_field.fields(name for name in named if name is not None)


class Reading:
    """How contexts are read, by one config."""

    __slots__ = ("_properties", "app", "entropy", "environment", "groups", "session", "user")

    def __init__(self, sources: Sources, entropy: Entropy) -> None:
        self.entropy = entropy
        self.user, self.session, self.groups = map(_source, (sources.user, sources.session, sources.groups))
        self.environment, self.app = sources.environment, sources.app
        self._properties = {name: _source(source) for name, source in sources.properties.items()}

    def property(self, name: str) -> Read | None:
        """What reads a property; None for what is none."""
        return self._properties[name] if name in self._properties else request_field.reader(name)


class RequestContext:
    """One request's. What most flags ask for is read at once, in less time than it takes to be ready for later."""

    __slots__ = (
        "_properties", "_random", "_reading", "address", "app", "book", "environment", "groups", "head", "lines",
        "now", "said", "session", "told", "user",
    )  # fmt: skip

    def __init__(self, head: RequestHead, address: str, reading: Reading, book: Book) -> None:
        read_user, read_session, read_groups = reading.user, reading.session, reading.groups
        self.user: str | None = None if read_user is None else read_user(head)
        self.session: str | None = None if read_session is None else read_session(head)
        groups = None if read_groups is None else read_groups(head)
        self.groups: Collection[str] = () if groups is None else request_field.listed(groups)
        self.address: str | None = address
        self.environment, self.app = reading.environment, reading.app
        self.now = time()
        self._random = ""
        self.head = head
        #: The flags as they were when the first was asked.
        self.book = book
        #: What flags have said, by their names; `told` is what several have said together.
        self.said: dict[str, Said] = {}
        self.told: tuple[Together, bytes] | None = None
        #: The header lines for the app, once they are made.
        self.lines = b""
        self._reading = reading
        self._properties: dict[str, str | None] | None = None

    def get(self, name: str) -> str | None:
        """A property, read when it is first asked for."""
        remembered = self._properties
        if remembered is None:
            remembered = self._properties = {}
        elif name in remembered:
            return remembered[name]
        read = self._reading.property(name)
        found = None if read is None else read(self.head)
        if len(remembered) < _REMEMBERED:
            remembered[name] = found
        return found

    @property
    def random(self) -> str:
        """Drawn when it is first asked for: most requests have somebody's id."""
        if not self._random:
            self._random = self._reading.entropy.take(8).hex()
        return self._random

    def ask(self, name: str) -> Said:
        """What a flag says."""
        if self.told is not None:
            together, said_together = self.told
            self.said.update(together.by_name(said_together))
            self.told = None
        said = self.said.get(name)
        if said is None:
            said = self.said[name] = self.book.ask(name, self)
        return said


def _source(name: str | None) -> Read | None:
    return None if name is None else request_field.reader(name, noted=True)
