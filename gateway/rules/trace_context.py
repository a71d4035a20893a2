"""W3C Trace Context, level 2, as a participant: keep the trace's id and state, put our own id in the parent's place.

https://www.w3.org/TR/trace-context-2/ is the source; section numbers below are its. Values are taken without the
whitespace around a field, as any HTTP parser leaves them, but none is minded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Section 3.2.2.5: the sampled (01) and random (02) flags; the others must be zero when we send them.
_KNOWN_FLAGS = 0x03

# Section 3.2.2 and, for versions to come, 3.2.4: their first four fields are read as ours, and more may follow
# a dash. Version 00 ends after the flags; version ff and ids of all zeros are invalid.
_TRACEPARENT = re.compile(
    rb"(?!ff)([0-9a-f]{2})"
    rb"-(?!0{32})([0-9a-f]{32})"
    rb"-(?!0{16})[0-9a-f]{16}"
    rb"-([0-9a-f]{2})(-.*)?",
    re.DOTALL,
).fullmatch

# Section 3.3.2. Level 2 made `@` an ordinary character of a key; the stricter tenant@system form of level 1, which
# the W3C's own tests went on asking for until 2026 (w3c/trace-context, issue 583), is gone.
_MEMBER = re.compile(
    rb"([a-z0-9][a-z0-9_*/@-]{0,255})"
    rb"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
).fullmatch
_MAX_MEMBERS = 32
#: Empty members do not count as members, but neither may a field consist of thousands of them.
_MAX_COMMAS = 127

_NO_TRACE = "0" * 32
_NO_PARENT = "0" * 16


@dataclass(slots=True)
class Trace:
    """A request's place in a trace: its id, and the two fields to send on. An empty tracestate is not sent."""

    trace_id: str
    traceparent: bytes
    tracestate: bytes


def join(traceparents: list[bytes], tracestates: list[bytes], random24: bytes, sampled_default: bool) -> Trace:
    """Join the trace that these fields tell of, or begin one.

    `random24` is 24 random bytes: 16 for a new trace's id, and 8 for our own id. A traceparent that is missing,
    repeated or malformed begins a new trace, with `sampled_default` as its sampled flag and without any tracestate
    (3.3: who could not read the one must not read the other). A malformed tracestate is dropped alone.
    """
    if len(traceparents) == 1:
        match = _TRACEPARENT(traceparents[0].strip(b" \t"))
        if match is not None and not (match[4] and match[1] == b"00"):
            trace_id = match[2].decode("ascii")
            flags = int(match[3], 16) & _KNOWN_FLAGS
            # 3.2.4: what came in a later version goes on as ours.
            sent = f"00-{trace_id}-{_parent(random24.hex())}-0{flags}".encode("ascii")
            return Trace(trace_id, sent, _state(tracestates) if tracestates else b"")
    return begin(random24, sampled=sampled_default)


def begin(random24: bytes, *, sampled: bool) -> Trace:
    """Begin a trace: as `join` does where no traceparent has come."""
    trace_id, traceparent = fresh(random24.hex(), sampled=sampled)
    return Trace(trace_id, traceparent.encode("ascii"), b"")


def fresh(ids: str, *, sampled: bool) -> tuple[str, str]:
    """The id and the traceparent of a new trace, from 48 random hexadecimal digits."""
    trace_id = ids[:32]
    if trace_id == _NO_TRACE:
        trace_id = "00000000000000000000000000000001"
    # A new id is random, which the second flag says.
    return trace_id, f"00-{trace_id}-{_parent(ids)}-{'03' if sampled else '02'}"


def _parent(ids: str) -> str:
    parent = ids[32:]
    return "0000000000000001" if parent == _NO_PARENT else parent


def _state(tracestates: list[bytes]) -> bytes:
    """The fields as one, in order and without empty members; b"" when anything in them is malformed (3.3.1)."""
    whole = b",".join(tracestates)
    if whole.count(b",") > _MAX_COMMAS:
        return b""
    members = [member for part in whole.split(b",") if (member := part.strip(b" \t"))]
    if len(members) > _MAX_MEMBERS:
        return b""
    keys = set()
    for member in members:
        match = _MEMBER(member)
        if match is None:
            return b""
        keys.add(match[1])
    return b",".join(members) if len(keys) == len(members) else b""
