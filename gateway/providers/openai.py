"""OpenAI.

Source: the openai Python SDK 3.54 (`_client.py`: base URL, bearer key; `DEFAULT_TIMEOUT`) and the API
reference, https://platform.openai.com/docs/api-reference/authentication. `OpenAI-Organization` and
`OpenAI-Project` stay the client's. The client's base URL ends in `/v1`, so the preset's does not.
"""

from gateway.providers.base import PATIENT, Preset, bearer, breaker

OPENAI = Preset(
    name="openai",
    url="https://api.openai.com",
    auth=bearer,
    credentials=(b"authorization",),
    timeout=PATIENT,
    breaker=breaker(failures=5, reset=60.0),
)
