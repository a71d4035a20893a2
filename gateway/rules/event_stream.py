"""Whether a whole event stream of an AI provider came to its proper end (WHATWG HTML, section 9.2.6).

Providers end an answer with an event that says so: OpenAI's chat completions with `data: [DONE]`, its responses with
`response.completed`, Anthropic with `message_stop`. One that ended otherwise broke off, whatever its framing says.
"""

from __future__ import annotations

import re

#: Bytes at the end in which the last event is looked for; a `response.completed` repeats the whole answer.
_LAST = 4 * 1024 * 1024
_blank = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_type = re.compile(rb'"type"\s*:\s*"([a-z_.]+)"')
_ENDS = frozenset({b"message_stop", b"response.completed"})


def ended(body: bytes) -> bool:
    """Whether its last event is one that ends an answer."""
    events = [event for event in _blank.split(body[-_LAST:]) if event.strip()]
    if not events or not body.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")):
        return False  # an event without the blank line behind it is none
    name, data = b"", []
    for line in events[-1].splitlines():
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value
        elif field == b"data":
            data.append(value)
    said = b"\n".join(data)
    if said.strip() == b"[DONE]" or name in _ENDS:
        return True
    found = _type.search(said)
    return not name and found is not None and found[1] in _ENDS
