"""One claim out of a bearer token, read without trusting it: no signature is checked (RFC 7519, RFC 6750).

Whoever sends the request can write into the token whatever it likes. What is read here may tell callers apart; it
must never let anybody in.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Sequence
from math import isfinite

#: Bytes of an Authorization field that are looked at; longer ones have no claim.
LONGEST = 8192

# Base64url, as what the decoder of the standard library takes.
_ALPHABET = bytes.maketrans(b"-_+/", b"+/!!")


def claim(authorization: Sequence[bytes], name: str) -> bytes | None:
    """A string or number among the claims of `Authorization: Bearer TOKEN`, as text; None where there is none."""
    if len(authorization) != 1 or len(authorization[0]) > LONGEST:
        return None
    scheme, _, token = authorization[0].partition(b" ")
    if scheme.lower() != b"bearer":
        return None
    parts = token.strip(b" ").split(b".")
    if len(parts) != 3:
        return None
    try:
        decoded = binascii.a2b_base64(_padded(parts[1].translate(_ALPHABET)), strict_mode=True)
        claims = json.loads(decoded)
        found = claims.get(name) if isinstance(claims, dict) else None
        return _text(found).encode()
    except (ValueError, RecursionError):  # not base64, not UTF-8, not JSON, no text, or nested too deep
        return None


def _padded(encoded: bytes) -> bytes:
    return encoded + b"=" * (-len(encoded) % 4)


def _text(found: object) -> str:
    """The claim as text. Raises ValueError where it is neither a string nor a number, or says nothing."""
    if isinstance(found, str) and found:
        return found
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if isinstance(found, float) and isfinite(found):
        return repr(found)
    raise ValueError
