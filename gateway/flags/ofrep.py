"""OFREP on the egress listener: the app's own code asks, and gets the answers that its headers have.

    POST BASE/ofrep/v1/evaluate/flags/KEY    one flag
    POST BASE/ofrep/v1/evaluate/flags        all flags, with an ETag that the next request's If-None-Match may name

It stands where a cache would in a route that has no upstream (pipeline.Shelf). The body's Content-Type is not looked
at: there is only one that it can have.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import blake2b, sha256
from hmac import compare_digest
from http import HTTPStatus
from time import time
from typing import Any
from urllib.parse import unquote_to_bytes

from gateway.cache.content import whole
from gateway.errors import ContentTooLarge, GatewayError, MethodNotAllowed, NoRoute
from gateway.exchange import Exchange, Fields, Reply
from gateway.flags.answering import Tally
from gateway.rules.conditional import matches
from gateway.rules.flags import given, ofrep
from gateway.rules.flags.context import Context
from gateway.rules.flags.flag import Flag
from gateway.rules.flags.flag_set import FlagSet
from gateway.rules.flags.given import Here
from gateway.upstreams.relay import reply

#: Bytes of a request's body: one context.
LARGEST = 64 * 1024
#: Below the path that the config names; other methods are refused here, or a route behind it would have them.
PATTERN = "/ofrep/v1/**"
_FLAGS = b"/ofrep/v1/evaluate/flags"
_METHOD = b"POST"
_RANDOM = 8  # bytes


class Ofrep:
    """The protocol below one path of a listener.

    `flags` gives those of the moment, `random` so many random bytes; `tally` counts what they say, `here` is what the
    config says of contexts. With a `token`, requests need it.
    """

    __slots__ = ("_flags", "_here", "_random", "_root", "_tally", "_token")

    def __init__(
        self,
        base: str,
        flags: Callable[[], FlagSet],
        random: Callable[[int], bytes],
        tally: Tally,
        here: Here,
        token: str | None = None,
    ) -> None:
        self._root = base.rstrip("/").encode() + _FLAGS
        self._flags = flags
        self._random = random
        self._tally = tally
        self._here = here
        self._token = None if token is None else sha256(token.encode()).digest()

    def answer(self, exchange: Exchange) -> bool:
        """Answer what has no body; False leaves the exchange to `serve`."""
        if exchange.method != _METHOD or exchange.body.source is not None:
            return False
        if self._bars(exchange):
            _refuse(exchange)
        else:
            self._answer(exchange, b"")
        return True

    async def serve(self, exchange: Exchange) -> GatewayError | None:
        """Answer, when the body is there. Raises CancelledError when the client leaves, or sends it wrongly."""
        if exchange.method != _METHOD:
            return MethodNotAllowed((_METHOD.decode(),))
        if self._bars(exchange):
            _refuse(exchange)
            return None
        length = exchange.head.length
        if (exchange.body.received if length is None else length) > LARGEST:
            return _too_large()
        exchange.body.bound(LARGEST, _too_large)
        self._answer(exchange, await whole(exchange))
        return None

    def _bars(self, exchange: Exchange) -> bool:
        """Whether the request lacks the token, as bearer's or as API key, or comes with another."""
        if self._token is None:
            return False
        tokens = list(exchange.head.values(b"x-api-key"))
        for value in exchange.head.values(b"authorization"):
            scheme, _, token = value.partition(b" ")
            tokens.append(token.strip(b" ") if scheme.lower() == b"bearer" else b"")
        wanted = self._token
        return not tokens or not all(compare_digest(sha256(one).digest(), wanted) for one in tokens)

    def _answer(self, exchange: Exchange, body: bytes) -> None:
        path = exchange.head.match_path
        if path == self._root:
            status, value = self._bulk(body)
        elif path.startswith(self._root + b"/"):
            # Of the path as it was sent: a name may have a slash in it, as %2F.
            key = unquote_to_bytes(exchange.head.path.rpartition(b"/")[2]).decode("utf-8", "replace")
            status, value = self._single(key, body)
        else:
            status, value = NoRoute.status, {"errorDetails": "The protocol has no such path."}
        content = json.dumps(value, separators=(",", ":")).encode()
        fields: Fields = [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")]
        if status == HTTPStatus.OK and path == self._root:
            etag = b'"%b"' % blake2b(content, digest_size=16).hexdigest().encode()
            fields = [(b"ETag", etag), (b"Cache-Control", b"private, no-cache")]
            if matches(exchange.head.values(b"if-none-match"), etag):
                status, content = HTTPStatus.NOT_MODIFIED, b""
            else:
                fields = [(b"Content-Type", b"application/json"), *fields]
        reply(exchange, Reply(status, fields, content), HTTPStatus(status).phrase.encode())

    def _bulk(self, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            asked = self._asked(body)
        except ofrep.Unreadable as error:
            return HTTPStatus.BAD_REQUEST, ofrep.failed(error)
        return HTTPStatus.OK, {"flags": [self._evaluated(flag, asked) for flag in self._flags().flags.values()]}

    def _single(self, key: str, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            asked = self._asked(body)
        except ofrep.Unreadable as error:
            return HTTPStatus.BAD_REQUEST, ofrep.failed(error, key)
        flag = self._flags().flags.get(key)
        if flag is None:
            return HTTPStatus.NOT_FOUND, ofrep.unknown(key)
        return HTTPStatus.OK, self._evaluated(flag, asked)

    def _evaluated(self, flag: Flag, asked: Context) -> dict[str, Any]:
        answer = flag.evaluate(asked)
        self._tally.said(flag.name, answer).count += 1
        return ofrep.worded(flag, answer)

    def _asked(self, body: bytes) -> Context:
        random = self._random(_RANDOM).hex()
        try:
            return given.context(ofrep.given(body), time(), random, self._here)
        except given.NoMoment:
            raise ofrep.Unreadable(ofrep.INVALID_CONTEXT, "The context's time is no date (RFC 3339).") from None


def _refuse(exchange: Exchange) -> None:
    content = json.dumps({"errorDetails": "This needs the token."}).encode()
    fields: Fields = [
        (b"Content-Type", b"application/json"),
        (b"Cache-Control", b"no-store"),
        (b"WWW-Authenticate", b'Bearer realm="flags"'),
    ]
    reply(exchange, Reply(HTTPStatus.UNAUTHORIZED, fields, content), b"Unauthorized")


def _too_large() -> ContentTooLarge:
    return ContentTooLarge(f"Contexts of more than {LARGEST} bytes are not taken here.")
