"""Duitku, an Indonesian payment gateway.

Source: https://docs.duitku.com/api/en/ (production host; sandbox: `url: https://sandbox.duitku.com`) and
https://docs.duitku.com/pop/en/ (the POP API: `url: https://api-prod.duitku.com`).

No key is injected: Duitku's never travels. It is hashed together with the order, in the body's `signature`
(API) or over a timestamp in `x-duitku-signature` (POP), which only the app can make. An `api_key` has no
effect here.

Its own libraries set no timeout. A payment is never repeated lightly, and the answer to the first one tells
whether there is an order to pay: so a minute for the answer, as a checkout page would hardly wait longer.
"""

from types import MappingProxyType

from gateway.providers.base import Preset, breaker, nothing

DUITKU = Preset(
    name="duitku",
    url="https://passport.duitku.com",
    auth=nothing,
    credentials=(),
    timeout=MappingProxyType({"connect": 5.0, "headers": 60.0, "idle": 60.0, "total": 120.0}),
    breaker=breaker(failures=3, reset=120.0),
)
