"""`gateway log`: the log level, seen and set."""

from __future__ import annotations

import json

import pytest

from gateway.cli.main import main
from tests.cli.conftest import Background

Capture = pytest.CaptureFixture[str]


def test_it_is_seen_set_for_a_while_and_reset(admin: Background, capsys: Capture) -> None:
    level = admin.insides.levels.level
    assert main(["log", "--url", admin.url]) == 0
    assert capsys.readouterr().out == "info, as the config says\n"
    assert main(["log", "debug", "--for", "10m", "--url", admin.url]) == 0
    assert capsys.readouterr().out == "debug, set by hand; the config says info, which holds again in 10m\n"
    assert (level.in_force, level.by_hand) == ("debug", True)
    assert main(["log", "warning", "--url", admin.url]) == 0
    assert capsys.readouterr().out == "warning, set by hand; the config says info\n"
    assert main(["log", "reset", "--url", admin.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["level"] == level.in_force == "info"


def test_a_time_that_is_none_is_refused(admin: Background, capsys: Capture) -> None:
    assert main(["log", "debug", "--for", "soon", "--url", admin.url]) == 1
    assert "/for" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["loud"], ["--for", "10m"], ["reset", "--for", "10m"]])
def test_wrong_usage(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["log", *words])
    assert raised.value.code == 2
