"""Changes to header fields: some go, some are added, and some are added where there are none.

Any sequence of removing, setting and adding comes down to two steps: drop all fields of certain names, then append
certain fields. So changes are put together when the config is read, and a head is gone through once.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.rules import field_lines
from gateway.rules.field_lines import Pieces
from gateway.rules.request_head import RequestHead

Fields = tuple[tuple[bytes, bytes], ...]

#: Which names are one: those that differ in case only, for what goes to clients.
PLAIN = field_lines.LOWER
#: For what goes to an app, `_` is `-` too: to a CGI-style app (WSGI, PHP) both are the same variable.
LIKE_CGI = PLAIN.replace(b"_", b"-")

_PROXY_STATUS = b"proxy-status"
_OUR_ERROR = b"gateway; error="


class Edits:
    """Drops the fields of the names in `gone`, then appends `fields`. `table` says which names are one."""

    __slots__ = ("_pieces", "fields", "gone", "table")

    def __init__(self, table: bytes, gone: Iterable[bytes] = (), fields: Fields = ()) -> None:
        self.table = table
        self.gone = frozenset(name.translate(table) for name in gone)
        self.fields = fields
        self._pieces = field_lines.of(fields)

    def __bool__(self) -> bool:
        return bool(self.gone or self.fields)

    def then(self, later: Edits) -> Edits:
        """These and, on what they leave, the later ones."""
        stay = tuple(field for field in self.fields if field[0].translate(self.table) not in later.gone)
        return Edits(self.table, self.gone | later.gone, stay + later.fields)

    def but(self, names: frozenset[bytes]) -> Edits:
        """These without what they do to certain names, given as `table` makes them."""
        fields = tuple(field for field in self.fields if field[0].translate(self.table) not in names)
        return Edits(self.table, self.gone - names, fields)

    def names(self) -> frozenset[bytes]:
        """The names of all fields that are changed, as `table` makes them."""
        return self.gone | {name.translate(self.table) for name, _ in self.fields}

    def on(self, pieces: Pieces) -> Pieces:
        """The fields after the change; what is not named stays as it is, and in its order."""
        if not self.gone:
            return pieces + self._pieces
        return self.left(pieces, field_lines.names(pieces, self.table))

    def left(self, pieces: Pieces, names: list[bytes]) -> Pieces:
        """The same, where the names are there already as `table` makes them."""
        gone = self.gone
        if gone.isdisjoint(names):
            return pieces + self._pieces
        out = pieces.copy()
        for place in range(len(names) - 1, -1, -1):
            if names[place] in gone:
                del out[4 * place : 4 * place + 4]
        out += self._pieces
        return out


class RequestEdits:
    """Edits of a request's head, those fields among them that the listener has read."""

    __slots__ = ("_edits", "_set")

    def __init__(self, edits: Edits) -> None:
        self._edits = edits
        self._set = [(name.lower(), value) for name, value in edits.fields]

    def apply(self, head: RequestHead) -> None:
        """Change the fields to pass on, and what `head.values` says of them."""
        edits, noted = self._edits, head.noted
        head.kept = edits.on(head.kept)
        if edits.gone:
            table, gone = edits.table, edits.gone
            for name in [name for name in noted if name.translate(table) in gone]:
                del noted[name]
        for name, value in self._set:
            if name in noted:
                noted[name] = [*noted[name], value]


class ResponseEdits:
    """Edits of a response's head, and `defaults`: fields that are added where there is none of their name.

    `but_ours` names fields (lower-case) that are left alone in the gateway's own refusals.
    """

    __slots__ = ("_all_defaults", "_default_names", "_defaults", "_edits", "_ours")

    def __init__(self, edits: Edits, defaults: Fields = (), but_ours: frozenset[bytes] = frozenset()) -> None:
        self._ours: ResponseEdits | None = None
        if not but_ours.isdisjoint(edits.names()):
            self._ours = ResponseEdits(edits.but(but_ours), defaults)
        # Defaults of names that are added are never needed, those of names that go always.
        added = {name.lower() for name, _ in edits.fields}
        missing = [field for field in defaults if field[0].lower() not in added]
        always = tuple(field for field in missing if field[0].lower() in edits.gone)
        self._edits = Edits(edits.table, edits.gone, edits.fields + always)
        self._defaults = [(field[0].lower(), field_lines.of([field])) for field in missing if field not in always]
        self._default_names = frozenset(name for name, _ in self._defaults)
        self._all_defaults = [piece for _, default in self._defaults for piece in default]

    def __call__(self, pieces: Pieces) -> Pieces:
        """The fields after the change, as a new list."""
        names = field_lines.names(pieces)
        if self._ours is not None and _PROXY_STATUS in names and _is_ours(pieces, names):
            return self._ours(pieces)
        out = self._edits.left(pieces, names)
        if self._defaults:
            if self._default_names.isdisjoint(names):
                out += self._all_defaults
            else:
                for name, default in self._defaults:
                    if name not in names:
                        out += default
        return out


def _is_ours(pieces: Pieces, names: list[bytes]) -> bool:
    return pieces[4 * names.index(_PROXY_STATUS) + 2].startswith(_OUR_ERROR)
