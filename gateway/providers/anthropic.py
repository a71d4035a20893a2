"""Anthropic.

Source: https://platform.claude.com/docs/en/api/overview (`x-api-key`, accepted with every
`anthropic-version`) and the anthropic Python SDK 2.12 (`DEFAULT_TIMEOUT`). `anthropic-version` and
`anthropic-beta` stay the client's: they choose the shape of the answer, which only the app can read.

The SDK sends its key as `Authorization: Bearer` since 2.0 and as `x-api-key` before, so both are the
client's credential.
"""

from gateway.providers.base import PATIENT, Fields, Preset, breaker, field_value


def api_key(key: str) -> Fields:
    """`x-api-key: KEY`."""
    return ((b"x-api-key", field_value(key)),)


ANTHROPIC = Preset(
    name="anthropic",
    url="https://api.anthropic.com",
    auth=api_key,
    credentials=(b"authorization", b"x-api-key"),
    timeout=PATIENT,
    breaker=breaker(failures=5, reset=60.0),
)
