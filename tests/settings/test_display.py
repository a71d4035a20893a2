"""The config as it is shown: read again it is the same, and no secret is in it, wherever it came from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import Settings, loads
from gateway.settings.display import HIDDEN
from tests.settings.configs import SMALLEST, read

CONFIG = Path(__file__).parents[2] / "config"
TEXTS = [
    *((path.name, path.read_text()) for path in sorted(CONFIG.rglob("*.yaml"))),
    *(
        (f"{path.name}-{number}", text)
        for path in sorted((CONFIG / "reference").glob("*.md"))
        for number, text in enumerate(re.findall(r"^```yaml\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE))
    ),
]


def shown(text: str, **env: str) -> str:
    return yaml.safe_dump(read(text, env).displayed(), sort_keys=False, allow_unicode=True)


@pytest.mark.parametrize("text", [text for _, text in TEXTS], ids=[name for name, _ in TEXTS])
def test_read_again_it_is_the_same(text: str) -> None:
    valid = {"REDIS_URL": "redis://x"}
    env = {name: default or valid.get(name, "x") for name, default in re.findall(r"\$\{(\w+)(?::-([^}]*))?\}", text)}
    before = loads(text, "a", env)
    shown = yaml.safe_dump(before.displayed(), sort_keys=False)
    assert without_secrets(loads(shown, "b", env)) == without_secrets(before)


def without_secrets(settings: Settings) -> Any:
    def cleared(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cleared(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [cleared(inner) for inner in value]
        return HIDDEN if type(value).__name__ == "SecretStr" else value

    return cleared(settings.model_dump())


def test_secrets_are_hidden_wherever_they_come_from() -> None:
    text = """\
        ingress:
          bind: "127.0.0.1:${PORT}"
          headers: {request: {set: {X-Key: written-secret, X-Other: "${SECRET}"}}}
          routes: [{name: "r-${SECRET}", path: /**, upstream: app}]
        egress:
          routes: [{path: /**, upstream: openai}]
        upstreams:
          app: {url: "http://${SECRET:-fallback-secret}:3000", timeout: "${TIMEOUT}"}
          openai: {preset: openai, api_key: written-secret}
        admin: {bind: 0.0.0.0:9091, token: "${SECRET}"}
    """
    found = shown(text, SECRET="env-secret", PORT="8099", TIMEOUT="7s")
    assert "env-secret" not in found
    assert "written-secret" not in found
    assert "fallback-secret" not in found
    config = yaml.safe_load(found)
    assert config["admin"]["token"] == "${SECRET}"
    assert config["ingress"]["headers"]["request"]["set"] == {"X-Key": HIDDEN, "X-Other": "${SECRET}"}
    assert config["ingress"]["routes"][0]["name"] == "r-${SECRET}"
    assert config["ingress"]["bind"] == "127.0.0.1:8099", "an address is no secret"
    assert config["upstreams"]["app"]["url"] == "http://${SECRET:-…}:3000"
    assert config["upstreams"]["openai"]["api_key"] == HIDDEN


def test_defaults_are_written_out() -> None:
    config = yaml.safe_load(shown(SMALLEST))
    assert config["drain"] == {"delay": "5s", "timeout": "20s"}
    assert config["upstreams"]["app"]["breaker"]["reset"] == "30s"
    assert config["admin"] == {"bind": "127.0.0.1:9091"}


def test_what_is_off_is_false() -> None:
    config = yaml.safe_load(shown(SMALLEST.replace("3000}", "3000, breaker: false}") + "metrics: false\n"))
    assert config["metrics"] is False
    assert config["upstreams"]["app"]["breaker"] is False


def test_a_config_that_no_file_made_is_shown_too() -> None:
    settings = Settings.model_validate(yaml.safe_load(SMALLEST))
    assert settings.displayed()["upstreams"]["app"]["url"] == "http://127.0.0.1:3000"
