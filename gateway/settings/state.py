"""`state:` what replicas share through a Redis, and what becomes of it while that cannot be asked."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import SecretStr, ValidationInfo, field_validator

from gateway.settings.types import Duration, Section, Switch, Text, Whole
from gateway.state.redis_url import parse_redis_url

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _redis(text: str) -> SecretStr | None:
    if not text:
        return None
    parse_redis_url(text)
    return SecretStr(str(text))


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise ValueError("a gateway's name is 1 to 64 letters, digits and ._-")
    return str(text)


class StateBreaker(Section):
    """When a Redis counts as gone, and how long."""

    failures: Annotated[int, Whole(low=1, high=1_000_000)] = 10
    """After so many calls in a row that failed or took longer than `timeout`, it is asked no more."""
    reset: Annotated[float, Duration(low=0.1, high=3600)] = 60.0
    """After so long the gateway itself tries whether it is back; and again, if it is not."""


class StateTls(Section):
    """How the server's certificate is checked, and the gateway's own."""

    verify: Annotated[bool, Switch()] = True
    """Check the certificate and its name."""
    ca: Annotated[str | None, Text(optional=True)] = None
    """File with the certificates to trust, in PEM; the system's where it is not written."""
    certificate: Annotated[str | None, Text(optional=True)] = None
    """File with the gateway's own certificate, in PEM, where the server asks for one."""
    key: Annotated[str | None, Text(optional=True)] = None
    """File with that certificate's key, in PEM."""

    @field_validator("key")
    @classmethod
    def _belongs_to_a_certificate(cls, key: str | None, info: ValidationInfo) -> str | None:
        if key is not None and info.data.get("certificate") is None:
            raise ValueError("a key needs its certificate")
        return key


class State(Section):
    """Where limits are counted that replicas share."""

    redis: Annotated[SecretStr | None, Text(optional=True, read=_redis)] = None
    """URL of a Redis or a Valkey, a secret as it may hold a password; empty: this process's memory."""
    timeout: Annotated[float, Duration(low=0.001, high=10)] = 0.05
    """No request waits longer for an answer."""
    name: Annotated[str, Text(read=_name)] = "gateway"
    """What the replicas of one gateway have in common, and other users of the same Redis have not."""
    breaker: StateBreaker = StateBreaker()
    """When it counts as gone."""
    tls: StateTls = StateTls()
    """How its certificate is checked, where the URL says TLS."""
