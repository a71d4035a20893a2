"""The config file as frozen models, and every mistake in it with its place.

`load` and `loads` read YAML, `for_app` needs no file; all return a `Settings` or raise `ConfigError`, which holds
every mistake of the file at once. `load_admin` reads of a file what commands need to find a gateway that runs.

The names below are looked up when first used. A policy's module holds that policy's settings and takes its value
types from `gateway.settings.types`, and the models here are put together from the policies' modules: importing
the models with the package would close that circle.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.settings.admin import Admin
    from gateway.settings.advice import environment_warnings, warnings
    from gateway.settings.fill import fingerprint
    from gateway.settings.listener import Egress, Ingress, Limits, Listener, Route
    from gateway.settings.loader import for_app, load, load_admin, loads
    from gateway.settings.mistakes import ConfigError, Mistake
    from gateway.settings.root import Drain, Log, Metrics, Settings
    from gateway.settings.schema import json_schema
    from gateway.settings.state import State
    from gateway.settings.upstream import Pool, Tls, Upstream
    from gateway.settings.values import Address, Network, Url

__all__ = [
    "Address",
    "Admin",
    "ConfigError",
    "Drain",
    "Egress",
    "Ingress",
    "Limits",
    "Listener",
    "Log",
    "Metrics",
    "Mistake",
    "Network",
    "Pool",
    "Route",
    "Settings",
    "State",
    "Tls",
    "Upstream",
    "Url",
    "environment_warnings",
    "fingerprint",
    "for_app",
    "json_schema",
    "load",
    "load_admin",
    "loads",
    "warnings",
]

_HOMES = {
    "admin": ("Admin",),
    "advice": ("environment_warnings", "warnings"),
    "fill": ("fingerprint",),
    "listener": ("Egress", "Ingress", "Limits", "Listener", "Route"),
    "loader": ("for_app", "load", "load_admin", "loads"),
    "mistakes": ("ConfigError", "Mistake"),
    "root": ("Drain", "Log", "Metrics", "Settings"),
    "schema": ("json_schema",),
    "state": ("State",),
    "upstream": ("Pool", "Tls", "Upstream"),
    "values": ("Address", "Network", "Url"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
