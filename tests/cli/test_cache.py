"""`gateway cache`: the tables, purging, and a warming watched to its end."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from rich.console import Console

from gateway.cli import cache, progress
from gateway.cli.main import main
from tests.cli.conftest import Background

Capture = pytest.CaptureFixture[str]
Ask = Callable[..., str]


@pytest.fixture
def ask(admin: Background, capsys: Capture) -> Ask:
    """Runs `gateway cache WORDS` and gives what it prints; it must succeed."""

    def ask(*words: str) -> str:
        assert main(["cache", *words, "--url", admin.url]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return ask


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_PAUSE", 0.001)


@pytest.mark.parametrize("words", [[], ["stats"]])
def test_what_it_holds_and_finds(ask: Ask, words: list[str]) -> None:
    lines = [line.split() for line in ask(*words).splitlines()]
    tier = ["memory", "up", "5", "1000", "5.0", "MiB", "64.0", "MiB", "3", "93", "6", "1.2us"]
    assert tier in lines
    assert ["redis", "down", "0", "0"] in lines
    assert ["ingress", "models", "94.0%", "90", "1", "2", "5", "1", "7", "1"] in lines
    assert ["egress", "/hf/**", *"0000000"] in lines
    assert ["models", "set-cookie", "1"] in lines
    assert ["purges:", "4,", "2", "of", "them", "not", "told", "to", "the", "replicas", "yet"] in lines
    assert json.loads(ask(*words, "--json"))["hit_ratio"] == 0.94


def test_the_hottest_and_the_coldest(ask: Ask) -> None:
    hottest, _, coldest = ask("top", "-n", "2").partition("Coldest:")
    rows = [line.split() for line in hottest.splitlines()]
    row = [
        "0000000000000004",
        "4",
        "4.0",
        "KiB",
        "13s",
        "stale",
        "for",
        "50s",
        "models",
        "shop.example/models/4?page",
    ]
    assert row in rows
    assert "/models/3" in hottest
    assert "/models/2" not in hottest + coldest
    assert "/models/0" in coldest


@pytest.mark.parametrize(
    ("words", "asked", "said"),
    [
        (["--tag", "models"], ("tag", "models", False), "removed: 5\n"),
        (
            ["/models/1", "--soft"],
            ("url", "/models/1", True),
            "turned stale: 1; the other replicas are told\n",
        ),
        (["--pattern", "/x*"], ("pattern", "/x*", False), "removed: 0; the other replicas are told\n"),
        (["--key", "00ff"], ("key", "00ff", False), "removed: 0; the other replicas are told\n"),
        (["--all"], ("all", "", False), "removed: 5\n"),
    ],
)
def test_purging(ask: Ask, admin: Background, words: list[str], asked: tuple[str, str, bool], said: str) -> None:
    assert ask("purge", *words) == said
    assert admin.insides.cache.asked == [asked]


def test_a_warming_is_watched_to_its_end(ask: Ask, admin: Background, quick: None) -> None:
    assert ask("warm", "/a", "https://shop.example/b?c=d", "/e") == "warming: done, 3 of 3 done, 0 failed, 1.5s\n"
    admin.insides.cache.listed = ["/x"]
    assert json.loads(ask("warm", "--json"))["total"] == 4


def test_a_warming_need_not_be_watched(ask: Ask) -> None:
    assert json.loads(ask("warm", "/a", "--no-wait", "--json"))["state"] == "running"


def test_many_urls_are_named_in_portions(ask: Ask, admin: Background) -> None:
    ask("warm", *(f"/{number}" for number in range(60)), "--no-wait")
    assert admin.insides.cache.named == [f"/{number}" for number in range(60)]


def test_what_could_not_be_warmed_is_said(admin: Background, quick: None, capsys: Capture) -> None:
    admin.insides.cache.broken = "status 404"
    assert main(["cache", "warm", "/a", "/b", "--url", admin.url]) == 1
    said = capsys.readouterr().out
    assert said.startswith("warming: done, 0 of 2 done, 2 failed")
    assert ["/b", "status", "404"] in [line.split() for line in said.splitlines()]


def test_a_terminal_gets_a_bar_with_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()

    def console(*, stderr: bool) -> Console:
        assert stderr, "what is printed is for others to read"
        return Console(file=screen, force_terminal=True, width=100, _environ={})

    monkeypatch.setattr(progress, "Console", console)
    standings = [{"total": 200, "done": done, "failed": 3, "estimate": 150.0 - done} for done in (0, 97)]
    progress.show_progress("warming", standings)
    assert "100/200" in screen.getvalue()
    assert "3 failed, 53s left" in screen.getvalue()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["purge", "ftp://x/"], "/url: is not of the form"),
        (["purge", "--tag", ""], "/tag: must have"),
        (["warm"], "The config lists nothing to warm"),
        (["warm", "models"], "/urls/0: is not of the form"),
    ],
)
def test_what_the_gateway_refuses(admin: Background, words: list[str], said: str, capsys: Capture) -> None:
    assert main(["cache", *words, "--url", admin.url]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


@pytest.mark.parametrize(
    "words",
    [
        ["purge"],
        ["purge", "--all", "--tag", "x"],
        ["purge", "/x", "--all"],
        ["top", "-n", "0"],
        ["top", "-n", "x"],
        ["everything"],
    ],
)
def test_wrong_usage(words: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["cache", *words])
    assert raised.value.code == 2


def test_nobody_there(admin: Background, capsys: Capture) -> None:
    admin.close()
    assert main(["cache", "stats", "--url", admin.url]) == 3
    assert "cannot be reached" in capsys.readouterr().err
