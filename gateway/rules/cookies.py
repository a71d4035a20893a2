"""One cookie out of a request's Cookie fields (RFC 6265, section 4.2.1)."""

from __future__ import annotations

from collections.abc import Iterable


def value(fields: Iterable[bytes], name: bytes) -> bytes | None:
    """The value of the first cookie of this name, as it stands; None where there is none, or an empty one.

    Servers differ in which of two cookies of one name they take; most take the first, which browsers send first
    because its path is the longer one (section 5.4).
    """
    wanted = name + b"="
    for field in fields:
        if wanted not in field:
            continue
        for pair in field.split(b";"):
            found = pair.strip(b" \t")
            if found.startswith(wanted):
                return found[len(wanted) :] or None
    return None
