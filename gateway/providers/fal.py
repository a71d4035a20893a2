"""FAL.ai.

Source: https://fal.ai/docs/model-apis/model-endpoints/synchronous-requests (`https://fal.run/MODEL`, one
request, one answer; `Authorization: Key`) and fal-client 1.0 (`run()` connects within 5 s and then waits
for ever; here it is ten minutes). For the queue, whose calls are short and come in several, set `url:
https://queue.fal.run`; the status and result URLs in its answers are absolute and name that host, so the
app has to put the gateway's in.
"""

from gateway.providers.base import PATIENT, Fields, Preset, breaker, field_value


def api_key(key: str) -> Fields:
    """`Authorization: Key KEY`."""
    return ((b"Authorization", b"Key " + field_value(key)),)


FAL = Preset(
    name="fal",
    url="https://fal.run",
    auth=api_key,
    credentials=(b"authorization",),
    timeout=PATIENT,
    breaker=breaker(failures=5, reset=60.0),
)
