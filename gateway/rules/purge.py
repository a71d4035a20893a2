"""Which stored responses a purge means, and which purges an entry has not seen yet.

Purges are numbered. An entry bears the number of the last one before its request went out, so that one that was
fetched before a purge and stored after it is known for what it is; so is one in a shared tier that nobody searched.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What a purge goes by."""

    #: A key's short name, as `GET cache/top` shows it: `name_of` the primary key.
    KEY = "key"
    #: A path and query, of one host or of all.
    URL = "url"
    #: A tag of the route, or of the response.
    TAG = "tag"
    #: A path and query in which `*` stands for anything.
    PATTERN = "pattern"
    ALL = "all"


class Purge(NamedTuple):
    """What is to go, or with `soft` to turn stale."""

    kind: Kind
    value: bytes = b""
    #: As in Subject; None for any.
    host: bytes | None = None
    soft: bool = False


class Subject(NamedTuple):
    """By what a stored response is found when it is to go."""

    #: The primary key (rules/cache_key.py).
    key: bytes
    #: The host as the client called it, in lower case without a default port; then path and query.
    host: bytes
    target: bytes
    tags: frozenset[bytes] = frozenset()
