"""From a file, or no file, to `Settings`.

text --document--> nodes --reading, fill--> data --models, checks--> Settings
         |                    |                       |
         one fatal mistake    mistakes                mistakes, placed by explain
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from gateway.settings.admin import Admin
from gateway.settings.advice import advise
from gateway.settings.checks import check
from gateway.settings.display import variables
from gateway.settings.document import LARGEST, Node, Scalar, Unreadable, compose, decode
from gateway.settings.document import Mapping as Nodes
from gateway.settings.explain import explain
from gateway.settings.fill import Filler
from gateway.settings.flag_checks import Found, advise_environment
from gateway.settings.listener import Ingress, Route
from gateway.settings.mistakes import ConfigError, Mistake
from gateway.settings.reading import Reading
from gateway.settings.root import Settings
from gateway.settings.upstream import Upstream
from gateway.settings.values import Url, parse_url

_NO_MAPPING = "the file must be a mapping (key: value)"


def load(path: str, env: Mapping[str, str], app: str | None = None) -> Settings:
    """Read a file; `app` is where its upstream `app` is, whatever the file says.

    Raises OSError when the file cannot be had, ConfigError with all its mistakes when it is wrong.
    """
    settings = loads(_text(path), path, env)
    return settings if app is None else _with_app(settings, path, app)


def load_admin(path: str, env: Mapping[str, str]) -> Admin | None:
    """The section `admin` alone, for who talks to a gateway that runs: it may have refused the rest of the file.

    Raises as `load`, but says nothing of the rest, which it does not fill in either.
    """
    root = _tree(_text(path), path)
    if isinstance(root, Nodes):
        root.pairs = [(key, value) for key, value in root.pairs if isinstance(key, Scalar) and key.text == "admin"]
    reading = Reading(path, Filler(env, os.path.dirname(path)))
    data = reading.data(root)
    if reading.mistakes or not isinstance(data, dict):
        raise ConfigError(reading.mistakes or [Mistake(path, *reading.place(()), _NO_MAPPING)])
    try:
        return Settings.model_validate(data).admin
    except ValidationError as error:
        raise ConfigError(explain(error, reading, Settings)) from None


def loads(text: str, name: str, env: Mapping[str, str]) -> Settings:
    """Read a text. `name` stands for the file in mistakes; relative `${file:...}` paths begin in its folder.

    Raises ConfigError with all the mistakes.
    """
    root = _tree(text, name)
    reading = Reading(name, Filler(env, os.path.dirname(name)))
    data = reading.data(root)
    if not isinstance(data, dict):
        raise ConfigError([Mistake(name, *reading.place(()), _NO_MAPPING)])
    mistakes = reading.mistakes
    for loc, message in check(data):
        if not reading.is_settled(loc):
            mistakes.append(Mistake(name, *reading.place(loc), message))
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        mistakes.extend(explain(error, reading, Settings))
        # Not chained: the original holds the input, secrets included.
        raise ConfigError(mistakes, reading.filler.files) from None
    if mistakes:
        raise ConfigError(mistakes, reading.filler.files)

    def placed(advice: Found) -> list[Mistake]:
        return [Mistake(name, *reading.key_place(loc), message) for loc, message in advice]

    of_file = placed(advise(settings, lambda loc: reading.key_place(loc)[0]))
    of_environment = placed(advise_environment(settings.flags, env))
    return settings.noted(of_file, of_environment, variables(data), reading.filler.files)


def _text(path: str) -> str:
    with Path(path).open("rb") as file:
        raw = file.read(LARGEST + 1)
    try:
        return decode(raw)
    except Unreadable as error:
        raise ConfigError([Mistake(path, error.line, error.column, error.message)]) from None


def _tree(text: str, name: str) -> Node:
    try:
        root = compose(text)
    except Unreadable as error:
        raise ConfigError([Mistake(name, error.line, error.column, error.message)]) from None
    if root is None or (isinstance(root, Scalar) and root.null):
        raise ConfigError([Mistake(name, 1, 1, "the file says nothing; it needs ingress, egress or both")])
    return root


def _with_app(settings: Settings, path: str, url: str) -> Settings:
    if "app" not in settings.upstreams:
        raise ConfigError([Mistake(path, 1, 1, "--app says where the upstream 'app' is, but the file has none")])
    upstream = settings.upstreams["app"].model_copy(update={"url": _app(url)})
    return settings.model_copy(update={"upstreams": {**settings.upstreams, "app": upstream}})


def _app(url: str) -> Url:
    try:
        return parse_url(url)
    except ValueError as error:
        raise ConfigError([Mistake("--app", 1, 1, str(error))]) from None


def for_app(url: str) -> Settings:
    """What `--app URL` alone means: ingress on 0.0.0.0:8080 in front of one app, and metrics on 0.0.0.0:9090."""
    return Settings(
        ingress=Ingress(routes=(Route(path="/**", upstream="app"),)), upstreams={"app": Upstream(url=_app(url))}
    )
