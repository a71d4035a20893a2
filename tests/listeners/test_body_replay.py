"""A second parser that goes on where llhttp stopped: at the body of a request whose upgrade is not taken."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gateway.listeners.body_replay import BodyReplay
from tests.support.exchanges import read

HOST = (b"Host", b"a.example")


class Heard:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_message_begin(self) -> None:
        self.told.append("begin")

    def on_url(self, target: bytes) -> None:
        self.told.append(target)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.told.append((name, value))

    def on_headers_complete(self) -> None:
        self.told.append("head")

    def on_body(self, data: bytes) -> None:
        self.told.append(data)

    def on_message_complete(self) -> None:
        self.told.append("complete")


@pytest.mark.parametrize(
    ("framing", "body"),
    [((b"Content-Length", b"5"), b"hello"), ((b"Transfer-Encoding", b"chunked"), b"5\r\nhello\r\n0\r\n\r\n")],
)
def test_it_stands_at_the_body_and_the_next_request_is_heard_whole(framing: tuple[bytes, bytes], body: bytes) -> None:
    heard = Heard()
    parser = BodyReplay.parser(cast("Any", heard), read(b"POST", fields=[HOST, framing]))
    assert heard.told == []
    parser.feed_data(body + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert heard.told == [b"hello", "complete", "begin", b"/next", (b"Host", b"a"), "head", "complete"]


def test_trailers_are_heard() -> None:
    heard = Heard()
    chunked = read(b"POST", fields=[HOST, (b"Transfer-Encoding", b"chunked")])
    BodyReplay.parser(cast("Any", heard), chunked).feed_data(b"0\r\nX-T: 1\r\n\r\n")
    assert heard.told == [(b"X-T", b"1"), "complete"]
