"""Everything that can go wrong with a request, as one tree; each leaf knows its status and Proxy-Status.

    GatewayError
    ├── RequestError                the request cannot be served as it was sent
    │   ├── MalformedRequest        400
    │   ├── NoRoute                 404
    │   ├── MethodNotAllowed        405, Allow
    │   ├── HeaderMissing           400
    │   ├── KeyMissing              400
    │   ├── SlowRequest             408
    │   ├── ContentTooLarge         413
    │   ├── TargetTooLong           414
    │   ├── UnsupportedMediaType    415, Accept
    │   ├── HeadersTooLarge         431
    │   └── NotStored               504
    ├── Refused                     the gateway protects something; 503, Retry-After
    │   ├── BreakerOpen
    │   ├── InFlightFull
    │   ├── CallerInFlightFull      429, RateLimit
    │   ├── RateLimited             429
    │   ├── Blocked                 429
    │   ├── PoolExhausted
    │   ├── NotStarted
    │   └── TooManyConnections
    ├── UpstreamError               the upstream failed
    │   ├── NameNotResolved         502
    │   ├── ConnectFailed           502
    │   ├── TlsFailed               502
    │   ├── ConnectionBroken        502
    │   ├── BadResponse             502
    │   └── UpstreamTimeout         504
    │       ├── ConnectTimeout
    │       ├── HeadersTimeout
    │       ├── IdleTimeout
    │       └── TotalTimeout
    └── InternalError               500, a bug of ours

Once a byte has gone to the client, none of these becomes a reply any more: the connection is cut instead.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from gateway.exchange import Fields, Reply
from gateway.rules import rate_fields


class GatewayError(Exception):
    """Base of all; `detail` is for people and never holds a secret, an address or a client's bytes."""

    status = 500
    #: RFC 9209, section 2.3: the `error` parameter of Proxy-Status.
    proxy_error = "proxy_internal_error"
    #: The last part of the problem's `type`, the access line's `error` and the upstream outcome's label.
    slug = "internal-error"
    #: Seconds for Retry-After; None sends none.
    retry_after: int | None = None

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def fields(self) -> Fields:
        """Header fields that this error adds to its reply."""
        return [] if self.retry_after is None else [(b"Retry-After", b"%d" % self.retry_after)]


class RequestError(GatewayError):
    """The request cannot be served as it was sent."""

    status = 400
    proxy_error = "http_request_error"


class MalformedRequest(RequestError):
    """Not one unambiguous HTTP/1.x request (RFC 9112)."""

    slug = "malformed-request"


class NoRoute(RequestError):
    """No route matches the path."""

    status = 404
    proxy_error = "destination_not_found"
    slug = "no-route"


class MethodNotAllowed(RequestError):
    """Routes match the path, but none of them the method (RFC 9110, section 15.5.6)."""

    status = 405
    slug = "method-not-allowed"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__("This path is served for other methods; Allow lists them.")
        self.allowed = allowed

    def fields(self) -> Fields:
        """The Allow field."""
        return [(b"Allow", ", ".join(self.allowed).encode("ascii"))]


class SlowRequest(RequestError):
    """The request's head or body came too slowly."""

    status = 408
    slug = "slow-request"


class HeaderMissing(RequestError):
    """A header field that the route needs is not there."""

    slug = "header-missing"


class KeyMissing(RequestError):
    """What a limit counts requests by is not in this one, and the limit refuses such."""

    slug = "key-missing"


class ContentTooLarge(RequestError):
    """The body is larger than the route takes (RFC 9110, section 15.5.14)."""

    status = 413
    slug = "content-too-large"


class TargetTooLong(RequestError):
    """The request line is longer than the listener's limit, or path and query than the route's."""

    status = 414
    slug = "target-too-long"


class UnsupportedMediaType(RequestError):
    """The body's media type is none that the route takes (RFC 9110, section 15.5.16)."""

    status = 415
    slug = "unsupported-media-type"

    def __init__(self, accepted: tuple[str, ...]) -> None:
        super().__init__("A body's Content-Type must be one of those that Accept lists.")
        self.accepted = accepted

    def fields(self) -> Fields:
        """The Accept field."""
        return [(b"Accept", ", ".join(self.accepted).encode("ascii"))]


class HeadersTooLarge(RequestError):
    """The header section has too many fields or bytes (RFC 6585, section 5)."""

    status = 431
    slug = "headers-too-large"


class NotStored(RequestError):
    """The client wants nothing but a stored response, and there is none that it would take (RFC 9111, 5.2.1.7)."""

    status = 504
    proxy_error = "proxy_internal_response"
    slug = "not-stored"


class Refused(GatewayError):
    """The gateway protects something from the request; it may be repeated after `retry_after` seconds."""

    status = 503
    proxy_error = "connection_limit_reached"

    def __init__(self, detail: str = "", retry_after: int | None = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class BreakerOpen(Refused):
    """The upstream's circuit breaker lets nothing through."""

    proxy_error = "destination_unavailable"
    slug = "breaker-open"


class InFlightFull(Refused):
    """A cap on requests under way is reached, and its queue is full or was waited in for too long."""

    slug = "in-flight-full"


class CallerInFlightFull(Refused):
    """A caller has as many requests under way as one caller may (RFC 6585, section 4)."""

    status = 429
    slug = "caller-in-flight-full"

    def __init__(self, name: str, limit: int, retry_after: int) -> None:
        super().__init__(f"You have reached the in-flight cap {name!r}.", retry_after)
        self._policy = rate_fields.string(name)
        self._limit = limit

    def fields(self) -> Fields:
        """Retry-After, and the cap as draft-ietf-httpapi-ratelimit-headers has it."""
        policy = f'{self._policy};q={self._limit};qu="concurrent-requests"'
        standing = f"{self._policy};r=0;t={self.retry_after}"
        return [
            *super().fields(),
            (b"RateLimit-Policy", policy.encode("ascii")),
            (b"RateLimit", standing.encode("ascii")),
        ]


class RateLimited(Refused):
    """A rate limit lets no more through (RFC 6585, section 4); with None nor will it later, so no Retry-After."""

    status = 429
    proxy_error = "http_request_denied"  # RFC 9209, section 2.3.17: for policy's sake; no connection is lacking
    slug = "rate-limited"


class Blocked(Refused):
    """This caller was refused too often, and so is refused for a while whatever it asks."""

    status = 429
    proxy_error = "http_request_denied"
    slug = "blocked"


class PoolExhausted(Refused):
    """All connections to the upstream stayed busy for the pool's `wait`, or its queue is full."""

    slug = "pool-exhausted"


class NotStarted(Refused):
    """The upstream is still starting: it has not accepted a connection yet, and the request has waited for it."""

    proxy_error = "destination_unavailable"
    slug = "not-started"


class TooManyConnections(Refused):
    """The listener serves as many connections as it may."""

    slug = "too-many-connections"


class UpstreamError(GatewayError):
    """The upstream failed; before the first byte to the client this is a 502 or a 504."""

    status = 502
    proxy_error = "destination_unavailable"


class NameNotResolved(UpstreamError):
    """The upstream's host name has no address."""

    proxy_error = "dns_error"
    slug = "dns-error"


class ConnectFailed(UpstreamError):
    """No connection: refused, or no way to the host."""

    proxy_error = "connection_refused"
    slug = "connection-refused"


class TlsFailed(UpstreamError):
    """The TLS handshake or the certificate's verification failed."""

    proxy_error = "tls_protocol_error"
    slug = "tls-error"

    def __init__(self, detail: str = "", *, certificate: bool = False) -> None:
        super().__init__(detail)
        if certificate:
            self.proxy_error = "tls_certificate_error"


class ConnectionBroken(UpstreamError):
    """The upstream closed or reset the connection before its message was whole."""

    proxy_error = "connection_terminated"
    slug = "connection-broken"


class BadResponse(UpstreamError):
    """What came is not one unambiguous HTTP/1.x response."""

    proxy_error = "http_protocol_error"
    slug = "bad-response"


class UpstreamTimeout(UpstreamError):
    """The upstream was too slow in one of the phases."""

    status = 504
    proxy_error = "http_response_timeout"


class ConnectTimeout(UpstreamTimeout):
    """No connection within `timeout.connect`."""

    proxy_error = "connection_timeout"
    slug = "connect-timeout"


class HeadersTimeout(UpstreamTimeout):
    """No response head within `timeout.headers` of the request's last byte."""

    slug = "headers-timeout"


class IdleTimeout(UpstreamTimeout):
    """No byte moved for `timeout.idle`."""

    proxy_error = "connection_read_timeout"
    slug = "idle-timeout"


class TotalTimeout(UpstreamTimeout):
    """The whole exchange took longer than `timeout.total`."""

    slug = "total-timeout"
    #: For how many seconds the upstream had had the whole request.
    waited = 0.0


class InternalError(GatewayError):
    """A bug of ours; its traceback is in the log, never in the reply."""


def problem(error: GatewayError, correlation_id: str) -> Reply:
    """The one place where an error becomes a reply: RFC 9457 problem details with Proxy-Status (RFC 9209)."""
    status = error.status
    body = json.dumps(
        {
            "type": f"urn:gateway:problem:{error.slug}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": error.detail or (type(error).__doc__ or "").partition("\n")[0],
            "correlation_id": correlation_id,
        }
    ).encode()
    headers: Fields = [
        (b"Content-Type", b"application/problem+json"),
        (b"Cache-Control", b"no-store"),
        (b"Proxy-Status", b"gateway; error=" + error.proxy_error.encode("ascii")),
        *error.fields(),
    ]
    return Reply(status, headers, body, error.slug)
