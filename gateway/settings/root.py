"""The whole config as one frozen value, and its short sections: `drain:`, `metrics:` and `log:`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr

from gateway.policies.correlation import Correlation
from gateway.settings.admin import Admin
from gateway.settings.cache import CacheStore
from gateway.settings.display import displayed
from gateway.settings.flags import Flags
from gateway.settings.listener import Egress, Ingress
from gateway.settings.mistakes import Mistake
from gateway.settings.state import State
from gateway.settings.types import Alternative, Choice, Duration, Section, Switch, Text, parse_name
from gateway.settings.upstream import Upstream
from gateway.settings.values import Address, parse_address


class Drain(Section):
    """How the gateway stops."""

    delay: Annotated[float, Duration(high=3600)] = 5.0
    """On SIGTERM, how long the listeners stay open while /readyz already says 503."""
    timeout: Annotated[float, Duration(high=3600)] = 20.0
    """Then, how long exchanges in flight may take to finish."""


class Metrics(Section):
    """The read-only listener: /metrics /livez /readyz /health."""

    bind: Annotated[Address, Text(read=parse_address)] = Address("0.0.0.0", 9090)  # noqa: S104  (Prometheus comes from outside)
    """Address and port."""


class Log(Section):
    """What the gateway says about itself."""

    level: Annotated[str, Choice(words=("debug", "info", "warning", "error"))] = "info"
    """The least severe that is still said; access lines are not counted among these."""
    format: Annotated[str, Choice(words=("json", "text"))] = "json"
    """One JSON object a line, or text for people."""
    access: Annotated[bool, Switch()] = True
    """One line a request, on standard output."""


class Settings(Section):
    """The config."""

    ingress: Annotated[Ingress | None, Alternative()] = None
    """In front of the app."""
    egress: Annotated[Egress | None, Alternative()] = None
    """The app's calls out."""
    upstreams: dict[Annotated[str, Text(read=parse_name)], Upstream] = Field(default_factory=dict, max_length=1000)
    """Where requests go, by name."""
    drain: Drain = Drain()
    """How the gateway stops."""
    startup_wait: Annotated[float, Duration(high=3600)] = 0.0
    """How long ingress holds requests for an app that has never yet accepted a connection."""
    correlation: Correlation = Correlation()
    """How requests are told apart and traced."""
    metrics: Annotated[Metrics | None, Alternative()] = Metrics()
    """The read-only listener; `false` for none."""
    admin: Annotated[Admin | None, Alternative()] = Admin()
    """The listener that changes things; `false` for none."""
    log: Log = Log()
    """What the gateway says about itself."""
    state: State = State()
    """Where limits are counted that replicas share."""
    cache: CacheStore = CacheStore()
    """What all routes' caches have together."""
    flags: Flags = Flags()
    """Feature flags."""

    _warnings: tuple[Mistake, ...] = PrivateAttr(default=())
    _environment_warnings: tuple[Mistake, ...] = PrivateAttr(default=())
    #: What `display.variables` found in the file.
    _variables: Any = PrivateAttr(default=None)
    _files: Mapping[Path, bytes | None] = PrivateAttr(default_factory=dict)

    @property
    def warnings(self) -> tuple[Mistake, ...]:
        """What is allowed but probably not meant, in the file's order."""
        return self._warnings

    @property
    def environment_warnings(self) -> tuple[Mistake, ...]:
        """The same of variables about what the file defines; the place is what they are about."""
        return self._environment_warnings

    @property
    def files(self) -> Mapping[Path, bytes | None]:
        """Files that `${file:...}` was filled in from, each with the fingerprint of what it held then."""
        return self._files

    def noted(
        self,
        warnings: Iterable[Mistake],
        of_environment: Iterable[Mistake],
        variables: Any,
        files: Mapping[Path, bytes | None],
    ) -> Settings:
        """The same with these warnings, of the file and of the environment, and with what was filled in."""
        copy = self.model_copy()
        copy._warnings, copy._variables = tuple(sorted(set(warnings))), variables  # noqa: SLF001  (our own)
        copy._environment_warnings = tuple(sorted(set(of_environment)))  # noqa: SLF001
        copy._files = dict(files)  # noqa: SLF001
        return copy

    def displayed(self) -> dict[str, Any]:
        """As a file would have it, with the defaults and without the secrets."""
        return displayed(self, self._variables)
