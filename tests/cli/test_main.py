"""The command line: exit codes for what may go wrong, and that only the asked-for command is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from importlib import metadata
from types import ModuleType
from typing import NoReturn

import pytest

from gateway.cli.main import COMMANDS, main
from gateway.settings import ConfigError, Mistake


def gateway(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(
    "words", [[], ["chekc"], ["check"], ["schema", "x"], ["--config", "x"], ["check", "--strict", "x"]]
)
def test_wrong_usage_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(words)
    assert raised.value.code == 2
    assert "usage: gateway" in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--help"])
    assert raised.value.code == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out == f"gateway {metadata.version('gateway')}\n"


def test_it_runs_as_a_module() -> None:
    done = gateway("schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("{")


def test_a_command_imports_no_other() -> None:
    program = (
        "import sys; from gateway.cli.main import main; main(['schema']);"
        "others = {'gateway.assembly', 'gateway.cli.run', 'aiohttp', 'uvloop'};"
        "print(sorted(others & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr.strip() == "[]"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "gateway", "schema"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stands in the place of `gateway run`, to fail as that may."""
    module = ModuleType("gateway.cli.run")
    module.add = lambda parser: parser.add_argument("--config")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gateway.cli.run", module)
    return module


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError([Mistake("f", 1, 2, "wrong")]), 1, "f:1:2: wrong\n"),
        (OSError(98, "Address already in use"), 3, "gateway: [Errno 98] Address already in use\n"),
        (
            FileNotFoundError(2, "No such file or directory", "g.yaml"),
            3,
            "gateway: g.yaml: No such file or directory\n",
        ),
    ],
)
def test_what_a_command_raises_becomes_its_exit_code(
    command: ModuleType, error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Namespace) -> NoReturn:
        raise error

    command.main = fail  # type: ignore[attr-defined]
    assert main(["run"]) == code
    assert capsys.readouterr().err == said


def test_a_command_gets_its_arguments_and_gives_the_exit_code(command: ModuleType) -> None:
    command.main = lambda args: 0 if args.config == "x" else 1  # type: ignore[attr-defined]
    assert main(["run", "--config", "x"]) == 0
    assert main(["run"]) == 1


@pytest.mark.parametrize("name", ["check", "schema"])
def test_commands_have_a_help_of_their_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main([name, "--help"])
    assert raised.value.code == 0
    assert f"usage: gateway {name}" in capsys.readouterr().out
