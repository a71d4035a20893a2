"""The chart: helm finds nothing wrong, wrong values are refused before anything is sent, the notes fit the values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from tests.deploy.renderings import HERE
from tests.support.kubernetes import CHART, manifests, run

VALUES = HERE / "values"


@pytest.mark.parametrize("values", sorted(path.stem for path in VALUES.glob("*.yaml")))
def test_lint(values: str) -> None:
    done = run("helm", "lint", "--strict", CHART, "--values", VALUES / f"{values}.yaml")
    assert done.returncode == 0, done.stdout


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a key that there is not": ({"metrics": {}}, "'metrics' not allowed"),
    "a port as text": ({"ports": {"ingress": "http"}}, "/ports/ingress"),
    "a time with a unit": ({"drain": {"delay": "5s"}}, "/drain/delay"),
    "a bind": ({"config": {"ingress": {"bind": ":80", "routes": [{}]}}}, "/config/ingress/bind"),
    "draining twice": ({"config": {"drain": {"delay": "1s"}}}, "propertyName 'drain'"),
    "a key of the config that there is not": ({"config": {"ingres": {}}}, "propertyName 'ingres'"),
    "a token in the open": ({"config": {"admin": {"token": "abc"}}}, "/config/admin/token"),
    "a way to pull that there is not": ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
}


@pytest.mark.parametrize("name", WRONG)
def test_values_that_are_wrong_are_refused(name: str, tmp_path: Path) -> None:
    values, what = WRONG[name]
    path = tmp_path / "values.json"
    path.write_text(json.dumps({"app": {"image": "shop:1.2"}, **values}))
    done = run("helm", "template", "shop", CHART, "--values", path)
    assert done.returncode != 0
    assert what in done.stderr


def test_an_app_without_an_image_is_refused() -> None:
    done = run("helm", "template", "shop", CHART)
    assert done.returncode != 0
    assert "app.image is required" in done.stderr


def test_every_section_of_the_config_is_known_to_the_values() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = set(schema["properties"]["config"]["propertyNames"]["enum"])
    assert known == {*Settings.model_fields, "startup_wait"} - {"drain", "metrics"}


def test_every_value_is_in_the_schema_and_has_a_default() -> None:
    (shown,) = manifests("helm", "show", "values", CHART)
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
    assert set(shown) == set(schema) - {"global", "enabled"}
    for name, section in schema.items():
        if "additionalProperties" in section and name in shown:
            assert set(shown[name]) == set(section["properties"])


def test_the_notes_fit_the_values() -> None:
    def notes(*options: str) -> str:
        done = run("helm", "install", "shop", CHART, "--dry-run=client", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout.partition("NOTES:")[2]

    whole = notes("--set", "app.image=shop:1.2,ports.metrics=9900,secretName=gateway")
    assert "exec deployment/shop-gateway -c gateway -- gateway status" in whole
    assert "http://127.0.0.1:9900/health" in whole
    assert "No Secret" not in whole
    part = notes("--set", "deployment.enabled=false,scrapeAnnotations=false")
    assert "named templates" in part
    assert "No Secret" in part
    assert "Nothing tells Prometheus" in part
