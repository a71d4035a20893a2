"""`admin:` the listener that changes things: where it is, and the token without which it serves this machine only."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import SecretStr, ValidationInfo, field_validator

from gateway.settings.types import Section, Text
from gateway.settings.values import Address, parse_address

# RFC 6750, section 2.1: what can stand behind `Authorization: Bearer`.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_LONGEST = 1024


def _token(text: str) -> SecretStr | None:
    if not text:
        return None
    if len(text) > _LONGEST or not _TOKEN.fullmatch(text):
        raise ValueError(f"a token is 1 to {_LONGEST} letters, digits and -._~+/ with perhaps = at its end")
    return SecretStr(str(text))


class Admin(Section):
    """The admin listener: its API under /api/v1/."""

    token: Annotated[SecretStr | None, Text(optional=True, read=_token)] = None
    """Whoever uses it sends `Authorization: Bearer TOKEN`; empty is none, and then it listens on loopback only."""
    bind: Annotated[Address, Text(read=parse_address)] = Address("127.0.0.1", 9091)
    """Address and port."""

    @field_validator("bind")
    @classmethod
    def _is_not_open_to_all(cls, bind: Address, info: ValidationInfo) -> Address:
        if "token" in info.data and info.data["token"] is None and not bind.loopback:
            raise ValueError("without a token the admin listener binds to loopback only, as in 127.0.0.1:9091")
        return bind
