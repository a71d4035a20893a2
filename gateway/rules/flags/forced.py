"""What a tester makes flags say: `X-Feature: NEW_DASHBOARD, CHECKOUT=blue, SEARCH=off`, from where it is believed.

It is believed of clients in some networks, and of whoever brings a token as one more of the members:
`X-Feature: token=SECRET, NEW_DASHBOARD=on`. A flag alone is on. Of what is malformed nothing counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hmac import compare_digest

from gateway.rules.client_address import Network, TrustedProxies
from gateway.rules.request_head import RequestHead

#: Bytes of the field that are still read, and flags that one request may force.
LONGEST, MOST = 4096, 100

_TOKEN = "token"  # noqa: S105 - the word before it
_NOTHING: Mapping[str, str] = {}
_member = re.compile(r"([^\x00-\x20,;=]{1,100}) ?(?:= ?([^\x00-\x1f,]{0,200}))?").fullmatch


class Forced:
    """Who may force flags, and how they are named."""

    __slots__ = ("_name", "_token", "_trusted", "name")

    def __init__(self, name: str, networks: Iterable[Network] = (), token: str = "") -> None:
        """`name` is the field's."""
        self.name = name.lower().encode("ascii")
        self._trusted = TrustedProxies(networks)
        self._token = token.encode()

    def of(self, head: RequestHead, client: str) -> Mapping[str, str]:
        """The flags that a request forces, and to what; the field must be among those that the listener notes."""
        values = head.noted.get(self.name)
        if values is None:
            return _NOTHING
        raw = b",".join(values)
        if len(raw) > LONGEST:
            return _NOTHING
        found: dict[str, str] = {}
        brought = b""
        for text in raw.decode("utf-8", "replace").split(","):
            member = _member(text.strip(" \t"))
            if member is None:
                continue
            if member[1] == _TOKEN:
                brought = (member[2] or "").encode()
            elif len(found) < MOST:
                found[member[1]] = "on" if member[2] is None else member[2].strip(" \t")
        return found if self._may(brought, client) else _NOTHING

    def _may(self, brought: bytes, client: str) -> bool:
        if self._trusted and self._trusted.trusts(client):
            return True
        return bool(self._token) and compare_digest(brought, self._token)
