"""Hugging Face's inference router.

Source: https://huggingface.co/docs/inference-providers (OpenAI-style API below `/v1`) and huggingface_hub
2.4 (`constants.INFERENCE_PROXY_TEMPLATE`: other providers below `/NAME`; a bearer token). Its
InferenceClient waits for ever by default; here it is ten minutes, as long as the other SDKs wait. A
dedicated endpoint is this preset with a `url` of its own.
"""

from gateway.providers.base import PATIENT, Preset, bearer, breaker

HUGGINGFACE = Preset(
    name="huggingface",
    url="https://router.huggingface.co",
    auth=bearer,
    credentials=(b"authorization",),
    timeout=PATIENT,
    breaker=breaker(failures=5, reset=60.0),
)
