"""`gateway flags`: the tables, every change, its history, and why."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable

import pytest

from gateway.cli.main import main
from tests.cli.conftest import Background

Capture = pytest.CaptureFixture[str]
Ask = Callable[..., str]


@pytest.fixture
def ask(admin: Background, capsys: Capture) -> Ask:
    """Runs `gateway flags WORDS` and gives what it prints; it must succeed."""

    def ask(*words: str) -> str:
        assert main(["flags", *words, "--url", admin.url]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return ask


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("verb", [[], ["list"]])
def test_every_flag(ask: Ask, verb: list[str]) -> None:
    lines = words(ask(*verb))
    assert ["NEW_DASHBOARD", "yes", "25%", "or", "1", "users", "or", "1", "groups", "file"] in lines
    assert ["THEME", "yes", "everybody,", "within", "constraints,", "requires", "dark,", "light", "file"] in lines
    assert ["AI", "yes", "everybody,", "within", "environments", "environment"] in lines
    assert lines[-1][:3] == ["Changes", "are", "kept"]
    assert json.loads(ask(*verb, "--json"))["kept"] == "memory"


def test_off_and_on_and_back(ask: Ask) -> None:
    said = ask("off", "NEW_DASHBOARD", "--who", "ann", "--why", "it fails")
    assert said.startswith("NEW_DASHBOARD: disabled, for 25% or 1 users or 1 groups\n")
    assert ["enabled", "false"] in words(said)
    assert " by ann: it fails\n" in said
    assert json.loads(ask("on", "NEW_DASHBOARD", "--json"))["live"] == {"enabled": True}
    row = next(line for line in words(ask()) if line[:1] == ["NEW_DASHBOARD"])
    assert row[9] == "live"
    assert row[-1].startswith(getpass.getuser())
    assert json.loads(ask("reset", "NEW_DASHBOARD", "--json", "--who", "bob"))["live"] is None

    lines = words(ask("history", "NEW_DASHBOARD"))
    assert [line[2] for line in lines[-3:]][::2] == ["bob", "ann"]
    assert lines[-1][3:] == ["it", "fails", '{"enabled":', "false}"]
    assert lines[-3][3:] == ["taken", "away"]
    assert len(json.loads(ask("history", "NEW_DASHBOARD", "-n", "1", "--json"))["changes"]) == 1
    assert ask("history", "THEME") == "It was never changed at run time.\n"


def test_setting_keys(ask: Ask) -> None:
    ask(
        "set", "NEW_DASHBOARD", "rollout=50%", "users=u2, u3", 'variants=[{"name": "a", "weight": 1}]', "enabled=true"
    )
    shown = json.loads(ask("show", "NEW_DASHBOARD", "--json"))
    assert shown["live"] == {
        "rollout": "50%",
        "users": ["u2", "u3"],
        "variants": [{"name": "a", "weight": 1}],
        "enabled": True,
    }
    ask("set", "NEW_DASHBOARD", "users=", 'groups=["x"]', "rollout=30")
    shown = json.loads(ask("show", "NEW_DASHBOARD", "--json"))
    assert (shown["live"]["groups"], shown["live"]["rollout"], shown["value"]["users"]) == (["x"], 30, ["u1"])
    lines = words(ask("show", "NEW_DASHBOARD"))
    assert ["rollout", "25%", "30"] in lines
    assert ["users", '["u1"]'] in lines


def test_why(ask: Ask) -> None:
    lines = words(ask("why", "THEME", "user=u1", "header:x-plan=pro"))
    assert lines[0][:2] in (["THEME:", "dark,"], ["THEME:", "light,"])
    assert ["requires", "NEW_DASHBOARD", "is", "on", "yes", "on"] in lines
    assert ["must", "hold", "header:X-Plan", "IN", "[pro]", "yes", "pro"] in lines
    assert any(line[:1] == ["variant"] and line[-2:] == ["of", "4"] for line in lines)
    lines = words(ask("why", "NEW_DASHBOARD", "user=u9", "groups=x,y"))
    assert any(line[:3] == ["3.", "rollout", "below"] and "u9" in line for line in lines)
    assert ask("why", "NEW_DASHBOARD", "groups=beta_tester,y").startswith("NEW_DASHBOARD: on, for strategy 2")
    assert ask("why", "AI", "environment=dev").startswith("AI: off, for not met: the environment is one of")
    assert json.loads(ask("why", "AI", "--json"))["on"]


def test_a_wrong_change_says_all_that_is_wrong(admin: Background, capsys: Capture) -> None:
    assert main(["flags", "set", "THEME", "rollout=lots", "enable=true", "--url", admin.url]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("gateway: ")
    assert {line.split(":")[0].strip() for line in lines[1:]} == {"/live/rollout", "/live/enable"}


def test_a_flag_that_there_is_not(admin: Background, capsys: Capture) -> None:
    assert main(["flags", "on", "THEMES", "--url", admin.url]) == 1
    assert "is it THEME?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["on"],
        ["set", "THEME"],
        ["set", "THEME", "rollout"],
        ["set", "THEME", "=1"],
        ["history", "THEME", "-n", "101"],
    ],
)
def test_what_is_wrong_usage(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["flags", *arguments])
    assert caught.value.code == 2
    assert capsys.readouterr().err


def test_what_a_terminal_would_obey_is_shown_as_it_is_written(ask: Ask) -> None:
    said = ask("off", "THEME", "--who", "ann\u202ebob", "--why", "a\u200bb")
    assert "ann\\u202ebob: a\\u200bb" in said
