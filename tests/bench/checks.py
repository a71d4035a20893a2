"""Whether a measurement is honest: each check returns what is wrong, in words, or nothing."""

import http.client
import re
from collections.abc import Iterator

from tests.bench.origin import BODY, Origin, Tally
from tests.bench.proxies import Running
from tests.bench.tables import Kind
from tests.bench.wrk import Load

ID = "X-Request-ID"
HIT = re.compile(r"\bhit\b", re.IGNORECASE)  # nginx's own word is HIT
FALLBACK = re.compile(r'^gateway_rate_limit_decisions_total\{.*decision="fallback".*\} (\S+)$', re.MULTILINE)
DIGITS = 24  # by which a head may differ from another: counters in three of Varnish's fields, an Age
LATE = (
    128  # requests that may reach the origin after wrk stopped counting: in flight now, or left from the run before
)


def probe(running: Running, origin: Origin) -> tuple[int, list[str]]:
    """Two requests by hand, without and with a request id: the length of a whole response, and what was wrong."""
    wrong = []
    lengths = []
    for sent in ("", "0af76519-16cd-43dd-8448-eb211c80319c"):
        origin.take()
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
        connection.request("GET", "/probe", headers={ID: sent} if sent else {})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        if response.status != 200 or body != BODY:
            wrong.append(f"answered {response.status} with {len(body)} bytes")
        lengths.append(_head(response) + len(body))
        arrived = origin.take().ids
        if running.proxy.request_id and (len(arrived) != 1 or arrived != {response.headers.get(ID)}):
            wrong.append(f"the origin saw the request ids {sorted(arrived)}, the client {response.headers.get(ID)}")
        if running.proxy.request_id and sent and arrived != {sent}:
            wrong.append("a request id that the client sent was not kept")
    return lengths[0], wrong


def probe_hits(running: Running, origin: Origin, kind: Kind) -> tuple[int, list[str]]:
    """Three requests by hand, of which the first fills the cache: the length of a whole response, what was wrong."""
    wrong = []
    lengths = []
    seen = set()
    for turn, sent in enumerate(("", "", "0af76519-16cd-43dd-8448-eb211c80319c")):
        origin.take()
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
        connection.request("GET", kind.path, headers={ID: sent} if sent else {})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        if response.status != 200 or body != BODY * kind.kib:
            wrong.append(f"answered {response.status} with {len(body)} bytes")
        lengths.append(_head(response) + len(body))
        seen.add(response.headers.get(ID))
        if sent and sent not in seen:
            wrong.append("a request id that the client sent was not kept")
        if turn and (arrived := origin.take().requests):
            wrong.append(f"the origin saw {arrived} requests for what should be a hit")
        if turn and not HIT.search(status := response.headers.get("Cache-Status", "")):
            wrong.append(f"Cache-Status: {status} for what should be a hit")
    if None in seen or len(seen) != len(lengths):
        wrong.append(f"three requests had the ids {sorted(map(str, seen))}")
    return lengths[1], wrong


def _head(response: http.client.HTTPResponse) -> int:
    """The length of its head."""
    fields = sum(len(name) + len(value) + 4 for name, value in response.getheaders())
    return fields + len(f"HTTP/1.1 {response.status} {response.reason}\r\n\r\n")


def answers(measured: Load, connections: int, length: int) -> Iterator[str]:
    """What wrk says of one run."""
    if measured.bad_status:
        yield f"{measured.bad_status} answers with an error status"
    if measured.socket_errors:
        yield f"{measured.socket_errors} socket errors or timeouts"
    # Responses cut at the end of the run count in bytes only.
    expected = measured.requests * length
    if abs(measured.bytes - expected) > connections * length + DIGITS * measured.requests:
        yield f"{measured.bytes} bytes for {measured.requests} answers, {expected} expected"


def forwarded(measured: Load, tally: Tally, connections: int, request_id: bool) -> Iterator[str]:
    """What wrk and the origin's tally say together of a run where every request goes to the origin."""
    if not measured.requests <= tally.requests <= measured.requests + LATE:
        yield f"wrk counted {measured.requests} answers, the origin {tally.requests} requests"
    if tally.opened > 2 * connections:
        yield f"{tally.opened} new connections to the origin for {connections} clients: not kept alive"
    if request_id and len(tally.ids) != tally.requests:
        yield f"{len(tally.ids)} different request ids in {tally.requests} requests"


def hits(tally: Tally) -> Iterator[str]:
    """What the origin's tally says of a run where no request may get there."""
    if tally.requests:
        yield f"{tally.requests} requests reached the origin, which hits do not"


def metrics(running: Running) -> tuple[str, list[str]]:
    """The metrics page, and what is wrong with it."""
    connection = http.client.HTTPConnection("127.0.0.1", running.metrics_port, timeout=5)
    try:
        connection.request("GET", running.proxy.metrics)
        response = connection.getresponse()
        page = response.read().decode()
    except OSError as error:
        return "", [f"no metrics page: {error}"]
    finally:
        connection.close()
    return page, [] if response.status == 200 and page else [f"the metrics page answered {response.status}"]


def decided(page: str, allowed: str, expected: int) -> Iterator[str]:
    """Whether its rate limits looked at every request, and nearly never without the Redis that they share."""
    passed = sum(float(value) for value in re.findall(rf"^{allowed} (\S+)$", page, re.MULTILINE))
    if passed < expected * 0.99:
        yield f"its rate limits let {passed:.0f} pass, {expected} expected"
    alone = sum(float(value) for value in FALLBACK.findall(page))
    if alone > expected * 0.01:
        yield f"its rate limits decided {alone:.0f} of {expected} without Redis"


def counted_hits(page: str, hits: str, expected: int) -> Iterator[str]:
    """Whether its own count of hits is that of the requests."""
    counted = sum(float(value) for value in re.findall(rf"^{hits} (\S+)$", page, re.MULTILINE))
    if counted < expected * 0.99:
        yield f"it counts {counted:.0f} hits, {expected} expected"


def logged(lines: int, requests: int) -> Iterator[str]:
    """Whether every request has its line in the access log (what wrk broke off at its end may lack one)."""
    if lines < requests * 0.99:
        yield f"{lines} lines in the access log for {requests} requests"
