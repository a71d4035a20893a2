"""Says what a fault of the system's is about: "address already in use" alone helps nobody at night."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def about(what: str) -> Iterator[None]:
    """Have an OSError from within name `what` it is about: a key of the config and its value, no secret."""
    try:
        yield
    except OSError as error:
        raise OSError(f"{what}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "holds no certificate in PEM" if "NO_CERTIFICATE" in str(error.reason) else str(error.reason or error)
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno).lower()
    return error.strerror or str(error)
