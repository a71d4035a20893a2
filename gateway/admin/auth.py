"""Who may use the admin API: whoever has the token, addresses us as ourselves, and is no web page of somebody else.

A browser on the operator's machine carries out what any page asks of it, on 127.0.0.1 too. It gives itself away: by
Origin or Sec-Fetch-Site (Fetch Metadata), where the page is openly another's; by Host, where the page's own name was
made to lead here (DNS rebinding): that name is no IP address, not localhost, and not what the config binds to.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

#: host or [host], and perhaps a port (RFC 9110, section 7.2).
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]{1,5})?")
_SAME_SITE = ("same-origin", "none")

#: All the values of a header field.
Fields = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    detail: str
    #: The WWW-Authenticate field's value, for a 401.
    challenge: str = ""


class Gatekeeper:
    """Judges requests by their header fields. `host` is what the config binds to; without `token` none is needed."""

    def __init__(self, host: str, token: str | None) -> None:
        self._host = host.lower()
        # Digests have one length, so that comparing them does not tell the token's.
        self._digest = None if token is None else _digest(token)

    @property
    def protected(self) -> bool:
        """Whether a token is needed."""
        return self._digest is not None

    def judge(self, fields: Fields, *, any_host: bool = False) -> Refusal | None:
        """None lets it pass. With `any_host` Host may name another site, and whatever a page is behind is refused.

        Without Host nothing else tells of a rebound name; but a browser gives every method that is not GET or HEAD
        an Origin (Fetch, "append a request Origin header").
        """
        hosts = fields("Host")
        if len(hosts) != 1:
            return Refusal(400, "A request has one Host field.")
        if any_host:
            if fields("Origin") or fields("Sec-Fetch-Site"):
                return Refusal(403, "Web pages may not use this.")
            return self._judge_token(fields("Authorization"))
        if not self.is_ours(hosts[0]):
            return Refusal(421, "Host must be an IP address, localhost, or the host that `admin.bind` names.")
        if _foreign(fields, hosts[0]):
            return Refusal(403, "Web pages of other sites may not use this.")
        return self._judge_token(fields("Authorization"))

    def is_ours(self, host: str) -> bool:
        """Whether a Host names this listener."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = (found["six"] or found["name"]).lower()
        return name in {"localhost", self._host} or _is_ip(name)

    def _judge_token(self, values: Sequence[str]) -> Refusal | None:
        if self._digest is None:
            return None
        if not values:
            return Refusal(401, "This needs the token.", 'Bearer realm="gateway"')
        scheme, _, token = values[0].partition(" ")
        right = compare_digest(_digest(token.strip(" ")), self._digest)
        if right and scheme.lower() == "bearer" and len(values) == 1:
            return None
        return Refusal(401, "This is not the token.", 'Bearer realm="gateway", error="invalid_token"')


def _foreign(fields: Fields, host: str) -> bool:
    """Whether a browser says that another site's page is behind this."""
    if any(site.lower() not in _SAME_SITE for site in fields("Sec-Fetch-Site")):
        return True
    ours = (f"http://{host}".lower(), f"https://{host}".lower())
    return any(origin.lower() not in ours for origin in fields("Origin"))


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
