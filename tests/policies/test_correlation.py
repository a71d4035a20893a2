"""Which fields may carry the correlation id."""

from __future__ import annotations

import pytest

from gateway.policies.correlation import field_name


@pytest.mark.parametrize("text", ["X-Correlation-ID", "x-request-id", "Correlation_Id", "X-" + "a" * 98])
def test_fields_that_are_free(text: str) -> None:
    assert field_name(text) == text


@pytest.mark.parametrize("text", ["", "X Y", "X:", "Ä", "X\r\nY", "X-" + "a" * 99])
def test_what_is_no_field(text: str) -> None:
    with pytest.raises(ValueError, match="not the name of a header field"):
        field_name(text)


@pytest.mark.parametrize(
    "text", ["Host", "content-length", "Authorization", "Connection", "traceparent", "Set-Cookie"]
)
def test_fields_that_mean_something_else(text: str) -> None:
    with pytest.raises(ValueError, match="has a meaning of its own"):
        field_name(text)
