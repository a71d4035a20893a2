"""`upstreams:` where requests go, and how the gateway treats each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import SecretStr, ValidationInfo, field_validator, model_validator

from gateway.policies.breaker import WAYS as BREAKER_WAYS
from gateway.policies.breaker import Breaker
from gateway.policies.in_flight import EACH as IN_FLIGHT_EACH
from gateway.policies.in_flight import WAYS as IN_FLIGHT_WAYS
from gateway.policies.in_flight import InFlightCap
from gateway.policies.timeout import WAYS as TIMEOUT_WAYS
from gateway.policies.timeout import Timeout
from gateway.providers import PRESETS
from gateway.settings.listener import POLICIES_NOT_YET
from gateway.settings.types import Alternative, Choice, Duration, Section, Switch, Text, Whole
from gateway.settings.values import Url, parse_host, parse_url


def _api_key(text: str) -> SecretStr | None:
    return SecretStr(str(text)) if text else None


class Pool(Section):
    """An upstream's connections."""

    connections: Annotated[int, Whole(low=1, high=100_000)] = 1000
    """Open connections, busy and idle."""
    idle: Annotated[float, Duration(high=86_400)] = 15.0
    """How long an idle connection is kept; less than the upstream itself keeps it, 0 keeps none."""
    lifetime: Annotated[float | None, Duration(low=0.001, off=True)] = 300.0
    """No request goes out on a connection older than this, so that DNS is looked up again; `false` for no end."""
    wait: Annotated[float, Duration(high=3600)] = 1.0
    """How long a request waits for a connection when all are busy."""
    queue: Annotated[int, Whole(high=1_000_000)] = 1000
    """Requests that may wait at once."""


class Tls(Section):
    """How an https upstream's certificate is checked."""

    verify: Annotated[bool, Switch()] = True
    """Check the certificate and its name."""
    ca: Annotated[str | None, Text(optional=True)] = None
    """File with the certificates to trust, in PEM; the system's where it is not written."""
    server_name: Annotated[str | None, Text(optional=True, read=parse_host)] = None
    """Name to ask for (SNI) and to check; the URL's host where it is not written."""


class Upstream(Section):
    """One upstream, complete: a preset's values are filled in where the file has none."""

    NOT_YET: ClassVar[frozenset[str]] = POLICIES_NOT_YET

    preset: Annotated[str | None, Choice(optional=True, words=tuple(PRESETS))] = None
    """A provider that the gateway knows: `url`, timeouts, breaker and the way a key is sent come with it."""
    url: Annotated[Url, Text(read=parse_url)]
    """Base URL, http or https; needed unless the preset has one."""
    api_key: Annotated[SecretStr | None, Text(optional=True, read=_api_key)] = None
    """Sent as the preset's provider wants it; empty sends none."""
    timeout: Annotated[Timeout, TIMEOUT_WAYS] = Timeout()
    """How long it may take."""
    breaker: Annotated[Breaker | None, BREAKER_WAYS] = Breaker()
    """When it counts as failing; `false` for never."""
    in_flight: Annotated[tuple[Annotated[InFlightCap, IN_FLIGHT_EACH], ...] | None, IN_FLIGHT_WAYS] = ()
    """How many calls to it are under way at once, over all routes."""
    pool: Pool = Pool()
    """Its connections."""
    tls: Tls = Tls()
    """How its certificate is checked."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "preset" not in data:
            return data
        filled = dict(data)
        preset = PRESETS.get(str(data["preset"]))
        if preset is None:
            filled.setdefault("url", "http://preset.invalid")  # one mistake is enough: the preset is not known
            return filled
        if preset.url:
            filled.setdefault("url", preset.url)
        filled["timeout"] = _laid_over(preset.timeout, TIMEOUT_WAYS, data.get("timeout", {}))
        filled["breaker"] = _laid_over(preset.breaker, BREAKER_WAYS, data.get("breaker", {}))
        return filled

    @field_validator("api_key")
    @classmethod
    def _fits_the_preset(cls, key: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if key is None or "preset" not in info.data:
            return key
        if info.data["preset"] is None:
            raise ValueError("an api_key needs a preset, which says how it is sent")
        PRESETS[info.data["preset"]].auth(key.get_secret_value())
        return key


def _laid_over(values: Mapping[str, object], ways: Alternative, written: Any) -> Any:
    """What is written, with the preset's values for the keys it leaves out; `false` and nonsense stay as they are."""
    try:
        read = ways.read(written)
    except ValueError:
        return written  # the field itself says what is wrong, at its place
    return {**values, **read} if isinstance(read, dict) else read
