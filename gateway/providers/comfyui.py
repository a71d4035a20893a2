"""ComfyUI, on a machine of one's own.

Source: https://docs.comfy.org/development/comfyui-server/comms_overview. Only the user knows where it runs
(by default http://127.0.0.1:8188), so `url` is theirs to give. The server itself asks for no key; one that
is configured goes out as a bearer token, for the authenticating proxy that stands before it. It has no SDK
with timeouts of its own: `/prompt` answers at once and results come over a WebSocket (the route's `tunnel`
timeout), but wrappers that wait for the picture are common, so it is given ten minutes.
"""

from gateway.providers.base import PATIENT, Preset, bearer, breaker

COMFYUI = Preset(
    name="comfyui",
    url="",
    auth=bearer,
    credentials=(b"authorization",),
    timeout=PATIENT,
    breaker=breaker(failures=3, reset=30.0),
)
