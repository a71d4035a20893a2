"""Whether an event stream came to its proper end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.event_stream import ended

CHAT = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n'
MESSAGES = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta"}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
RESPONSES = (
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n'
    b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r"}}\n\n'
)


@pytest.mark.parametrize("body", [CHAT, MESSAGES, RESPONSES])
def test_the_proper_ends(body: bytes) -> None:
    assert ended(body)
    assert ended(body.replace(b"\n", b"\r\n"))
    assert ended(b": comment\n\n" + body)


@pytest.mark.parametrize("body", [CHAT, MESSAGES, RESPONSES])
def test_everything_shorter_has_broken_off(body: bytes) -> None:
    for length in range(len(body)):
        assert not ended(body[:length])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b'data: {"text":"[DONE]"}\n\n',
        b'data: {"text":"\\"type\\":\\"message_stop\\""}\n\n',
        b'event: response.failed\ndata: {"type":"response.failed"}\n\n',
        b'event: response.incomplete\ndata: {"type":"response.incomplete"}\n\n',
        b'event: error\ndata: {"type":"message_stop"}\n\n',
        CHAT + b"data: more\n\n",
    ],
)
def test_what_is_no_end(body: bytes) -> None:
    assert not ended(body)


def test_a_type_without_an_events_name() -> None:
    assert ended(b'data: {"type": "response.completed", "response": {}}\n\n')


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    assert ended(body) in (True, False)
    assert ended(body + b"\n\ndata: [DONE]\n\n")
