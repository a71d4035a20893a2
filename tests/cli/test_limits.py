"""`gateway limits`: the tables, and each thing that it changes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gateway.cli.main import main
from tests.admin.memory import RULE
from tests.cli.conftest import Background

Capture = pytest.CaptureFixture[str]
Ask = Callable[..., str]


@pytest.fixture
def ask(admin: Background, capsys: Capture) -> Ask:
    """Runs `gateway limits WORDS` and gives what it prints; it must succeed."""

    def ask(*words: str) -> str:
        assert main(["limits", *words, "--url", admin.url]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return ask


def test_rules_and_caps(ask: Ask) -> None:
    lines = [line.split() for line in ask().splitlines()]
    assert [RULE, "10/day", "header:X-User-Id", "local", *"000000"] in lines
    assert ["route", "generate", "3", "25", "0", "50", "3", "0", "0"] in lines
    assert json.loads(ask("--json"))["rules"][0]["id"] == RULE


def test_a_key_is_blocked_listed_and_lifted(ask: Ask, admin: Background) -> None:
    assert ask("blocked") == "No key is blocked.\n"
    said = ask("block", "2001:db8::/64", "--for", "10m", "--rule", RULE, "--reason", "a [red]test[/red]")
    assert "2001:db8::/64" in said
    assert admin.insides.limits.blocks["2001:db8::/64"]["expires_in"] == 600
    line = ask("blocked").splitlines()[2].split()
    assert line == ["2001:db8::/64", RULE, "10m", "a", "[red]test[/red]"]
    assert ask("unblock", "2001:db8::/64", "--rule", RULE) == "lifted: 1\n"
    assert admin.insides.limits.blocks == {}


def test_a_terminal_obeys_no_key(ask: Ask, admin: Background) -> None:
    admin.insides.limits.block("\x1b[2J\u202eabc", None, 60, "x\r\n")
    said = ask("blocked")
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "\\x1b[2J\\u202eabc" in said


def test_more_are_blocked_than_are_listed(ask: Ask, admin: Background) -> None:
    for number in range(1003):
        admin.insides.limits.block(f"k{number}", None, 60, "")
    assert ask("blocked").endswith("\n3 more\n")


def test_what_a_key_has_left(ask: Ask, admin: Background) -> None:
    admin.insides.limits.used |= {"u 1/x&y": 4, "": 1}
    assert ask("key", RULE, "u 1/x&y").splitlines()[2].split() == ["u", "1/x&y", "6", "10", "9h"]
    assert "(all)" in ask("key", RULE)
    assert "nothing is known of it" in ask("key", RULE, "new")
    assert json.loads(ask("key", RULE, "new", "--json"))["known"] is False


def test_reset(ask: Ask, admin: Background) -> None:
    used = admin.insides.limits.used
    used |= {"u1": 4, "u2": 10, "u3": 1}
    assert ask("reset", RULE, "u1") == "reset: 1\n"
    assert used == {"u2": 10, "u3": 1}
    assert ask("reset", RULE) == "reset: 2\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["key", "nope", "x"], "There is no such rule."),
        (["reset", "nope"], "There is no such rule."),
        (["unblock", "x"], "This key is not blocked."),
        (["block", "x", "--for", "ever"], "/for: is not of the form"),
        (["block", "", "--for", "1m"], "/key: must have"),
    ],
)
def test_what_the_gateway_refuses(admin: Background, words: list[str], said: str, capsys: Capture) -> None:
    assert main(["limits", *words, "--url", admin.url]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.parametrize("words", [["block", "x"], ["key"], ["unblock"], ["everything"]])
def test_wrong_usage(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["limits", *words])
    assert raised.value.code == 2
