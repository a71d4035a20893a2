"""`gateway schema` prints the JSON Schema."""

from __future__ import annotations

import json

import pytest

from gateway.cli.main import main
from gateway.settings import json_schema


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
