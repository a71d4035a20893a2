"""`gateway completion`: what a real shell makes of the script."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.cli.main import COMMANDS, main

#: Sources the script, then asks as Tab does: for each line of input, what could stand in place of its last word.
_BASH = r"""
source "$1"
complete -p gateway > /dev/null || exit 1
while IFS= read -r line; do
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line}
    _shtab_gateway gateway
    echo "${COMPREPLY[*]}"
done
"""


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "completion"
    path.write_text(capsys.readouterr().out)
    return path


def test_bash_completes_commands_verbs_options_and_files(script: Path, tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").touch()
    (tmp_path / "other.yaml").touch()
    asked = {
        "gateway ": sorted(COMMANDS),
        "gateway br": ["breakers"],
        "gateway breakers ": ["close", "open", "reset"],
        "gateway breakers --ur": ["--url"],
        "gateway breakers open --js": ["--json"],
        "gateway cache pu": ["purge"],
        "gateway cache purge --so": ["--soft"],
        "gateway flags set N rollout=5% --wh": ["--who", "--why"],
        "gateway completion ": ["bash", "fish", "zsh"],
        "gateway run --config gate": ["gateway.yaml"],
        "gateway check gate": ["gateway.yaml"],
    }
    done = subprocess.run(
        ["bash", "--norc", "-c", _BASH, "bash", str(script)],
        input="".join(f"{line}\n" for line in asked),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    found = dict(zip(asked, (sorted(line.split()) for line in done.stdout.splitlines()), strict=True))
    assert found == asked


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_understand_their_scripts(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = tmp_path / "completion"
    path.write_text(said)
    # Read, not carried out.
    done = subprocess.run([shell, "-n", path], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_another_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["completion", "csh"])
    assert raised.value.code == 2
    assert "choose from" in capsys.readouterr().err


def test_the_help_says_where_it_goes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["completion", "--help"])
    assert "bash-completion/completions/gateway" in capsys.readouterr().out
