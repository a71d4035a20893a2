"""What a provider's preset is made of, and the pieces that several presets share.

A preset is plain data: it knows nothing of the settings models. The settings lay what the config file says
over it, key by key, so anything here can be overridden there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

Fields = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Preset:
    """One provider as the gateway calls it.

    `name` is what `preset:` in the config says. `url` is the base URL; "" when only the user can know it.
    `timeout` has `connect`, `headers`, `idle` and `total` in seconds, False for none, as in the config.
    `breaker` has `failures`, `reset` (seconds) and `statuses`, as in the config.

    `auth` makes, from a key, the header fields that carry it; it raises ValueError when the key cannot
    stand in a field, without repeating the key. `credentials` names (in lower case) every field in which
    this provider's clients send a credential of their own. With a key configured, the fields named there
    are taken off the client's request before those of `auth` go on: an SDK insists on a key, so an app that
    holds none sends a made-up one, and it must not reach the provider beside the real one. Without a key
    nothing is touched.
    """

    name: str
    url: str
    auth: Callable[[str], Fields]
    credentials: tuple[bytes, ...]
    timeout: Mapping[str, float]
    breaker: Mapping[str, object]


# "Slow down" and "my fault". Others are the caller's doing (400, 401, 404, ...) or say nothing of the
# provider's health.
FAILING_STATUSES = (429, 500, 502, 503, 504)

# The time that the openai and anthropic SDKs give an answer: 5 s to connect, then 10 min for every read, and
# no bound on the whole (`DEFAULT_TIMEOUT` in both; tests/providers/test_sdk_timeouts.py compares).
PATIENT: Mapping[str, float] = MappingProxyType({"connect": 5.0, "headers": 600.0, "idle": 600.0, "total": False})


def breaker(failures: int, reset: float) -> Mapping[str, object]:
    """The breaker of a provider: open after `failures` in a row, try again after `reset` seconds."""
    return MappingProxyType({"failures": failures, "reset": reset, "statuses": FAILING_STATUSES})


def field_value(key: str) -> bytes:
    """The key as bytes fit for a header field; ValueError for one that is not (RFC 9110, 5.5).

    Spaces are refused too, though a field may hold them: in a key they are a slip of copying.
    """
    if not key or not all("!" <= char <= "~" for char in key):
        raise ValueError("an API key is one or more visible ASCII characters, without spaces or line ends")
    return key.encode("ascii")


def bearer(key: str) -> Fields:
    """`Authorization: Bearer KEY` (RFC 6750, 2.1)."""
    return ((b"Authorization", b"Bearer " + field_value(key)),)


def nothing(_key: str) -> Fields:
    """For a provider whose key does not travel in a header field: nothing is injected."""
    return ()
