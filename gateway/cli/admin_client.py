"""A running gateway's admin API, as the commands that talk to it see it.

Where it is: --url, or what the file of --config says, or GATEWAY_ADMIN_URL, or http://127.0.0.1:9091. Its token: the
file of --token-file, or GATEWAY_ADMIN_TOKEN, or what the file of --config says; an argument would show in `ps`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from gateway import settings

DEFAULT = "http://127.0.0.1:9091"
#: Seconds for one answer.
TIMEOUT = 10.0
#: Bytes of one answer.
_LARGEST = 16 << 20

_WHERE_TOKENS_ARE = " It is told by --config FILE, --token-file FILE or GATEWAY_ADMIN_TOKEN."

#: The exit code when the gateway says no.
REFUSED = 1


class Refused(Exception):
    """The gateway answered, but not with what was asked for; the text is the problem's detail."""


def options(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """Register the options of every such command; `again` on a subcommand, which leaves standing what is there."""
    parser.allow_abbrev = False  # --token would be taken for --token-file
    default: Any = argparse.SUPPRESS if again else None
    group = parser.add_argument_group("the running gateway")
    where = f"its admin listener; or GATEWAY_ADMIN_URL ({DEFAULT})"
    group.add_argument("--url", type=_checked, default=default, metavar="URL", help=where)
    group.add_argument("--config", default=default, metavar="FILE", help="its config file, which knows that too")
    group.add_argument("--token-file", default=default, metavar="FILE", help="its token; or GATEWAY_ADMIN_TOKEN")
    off = argparse.SUPPRESS if again else False
    group.add_argument("--json", action="store_true", default=off, help="JSON, for programs")


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise argparse.ArgumentTypeError(f"{url!r} is no URL as in {DEFAULT}")
    return url


class AdminClient:
    """Asks one admin listener. Every method raises OSError when it cannot be reached, Refused when it says no."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = urlsplit(url)
        self.url = url
        self._connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._token = token

    @classmethod
    def of(cls, args: argparse.Namespace) -> AdminClient:
        """The one that the arguments and the environment name. Raises ConfigError too."""
        admin = None
        if args.config is not None:
            admin = settings.load_admin(args.config, os.environ)
            if admin is None and args.url is None:
                raise OSError(f"{args.config} turns the admin listener off")
        url = args.url or (_url(admin.bind) if admin else "") or _from_environment()
        if args.token_file is not None:
            token = Path(args.token_file).read_text(encoding="utf-8").strip()
        else:
            token = os.environ.get("GATEWAY_ADMIN_TOKEN", "")
            if not token and admin is not None and admin.token is not None:
                token = admin.token.get_secret_value()
        if not token.isascii() or not token.isprintable():
            raise OSError("the token has characters that a header cannot have")
        return cls(url, token or None)

    def get(self, path: str, has: str, **query: str | None) -> Any:
        """GET a path below /api/v1. `has` is a member of the answer, by which it is known to be a gateway's."""
        return self._ask("GET", path, has, query)

    def post(self, path: str, has: str, body: dict[str, Any] | None = None) -> Any:
        """POST to it."""
        return self._ask("POST", path, has, {}, body)

    def put(self, path: str, has: str, body: dict[str, Any]) -> Any:
        """PUT it."""
        return self._ask("PUT", path, has, {}, body)

    def patch(self, path: str, has: str, body: dict[str, Any]) -> Any:
        """PATCH it."""
        return self._ask("PATCH", path, has, {}, body)

    def delete(self, path: str, has: str, **query: str | None) -> Any:
        """DELETE it."""
        return self._ask("DELETE", path, has, query)

    def _ask(
        self, method: str, path: str, has: str, query: dict[str, str | None], body: dict[str, Any] | None = None
    ) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        target = f"{self._path}/api/v1{path}" + (f"?{urlencode(given)}" if given else "")
        fields = {"Accept": "application/json"}
        if self._token is not None:
            fields["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            fields["Content-Type"] = "application/json"
        connection = self._connect(self._host, self._port, timeout=TIMEOUT)
        try:
            connection.request(method, target, None if body is None else json.dumps(body), fields)
            response = connection.getresponse()
            status, raw = response.status, response.read(_LARGEST)
            if response.length:
                raise IncompleteRead(b"")
        except (OSError, HTTPException) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
            raise OSError(f"{self.url} cannot be reached: {reason}") from error
        finally:
            connection.close()
        try:
            value = json.loads(raw)
        except ValueError:
            value = None
        if isinstance(value, dict) and 200 <= status < 300 and has in value:
            return value
        if isinstance(value, dict) and status >= 400:
            raise Refused(_said(status, value) + (_WHERE_TOKENS_ARE if status == HTTPStatus.UNAUTHORIZED else ""))
        raise Refused(f"{self.url} answers {status}, but not as a gateway's admin listener does")


def _said(status: int, problem: dict[str, Any]) -> str:
    errors = [f"  {error.get('pointer')}: {error.get('detail')}" for error in problem.get("errors", [])]
    return "\n".join([str(problem.get("detail") or problem.get("title") or status), *errors])


def _from_environment() -> str:
    try:
        return _checked(os.environ.get("GATEWAY_ADMIN_URL") or DEFAULT)
    except argparse.ArgumentTypeError as error:
        raise OSError(f"GATEWAY_ADMIN_URL: {error}") from None


def _url(bind: settings.Address) -> str:
    """Where a client on this machine reaches what listens there."""
    anywhere = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (compared, not bound)
    return f"http://{settings.Address(anywhere.get(bind.host, bind.host), bind.port)}"


def segment(text: str) -> str:
    """A name or key as one segment of a path."""
    return quote(text, safe="")


def report(error: Refused) -> int:
    """Say why the gateway refused, and the exit code for it."""
    print(f"gateway: {error}", file=sys.stderr)
    return REFUSED


def print_json(value: Any, *, line: bool = False) -> None:
    """For programs; as one `line` where there is one value after the other."""
    print(json.dumps(value, indent=None if line else 2, ensure_ascii=False), flush=line)
