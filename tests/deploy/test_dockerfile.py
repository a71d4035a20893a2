"""The Dockerfile, by hadolint, and by what it must not do. `make test-image` builds and runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
LAST = TEXT[TEXT.rindex("\nFROM ") :]


def hadolint(text: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("hadolint")
    return subprocess.run([program, "--no-color", "-"], input=text, capture_output=True, text=True, check=False)


def test_hadolint_is_silent() -> None:
    done = hadolint(TEXT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_hadolint_would_speak() -> None:
    assert "DL3002" in hadolint(TEXT.replace("USER 65532:65532", "USER root")).stdout


def test_no_rule_of_it_is_switched_off() -> None:
    assert "hadolint" not in TEXT
    assert not list(ROOT.glob(".hadolint*"))


@pytest.mark.parametrize("line", re.findall(r"^FROM .*", TEXT, re.MULTILINE))
def test_every_stage_is_on_the_base_that_was_asked_for(line: str) -> None:
    assert line in ("FROM ${BUILD} AS build", "FROM ${BASE}")


def test_the_last_stage_runs_nothing() -> None:
    """So the base needs no shell, and nothing that a command would leave is in the image."""
    assert not re.search(r"^(RUN|ADD|SHELL)\b", LAST, re.MULTILINE)
    assert re.findall(r"^COPY .*", LAST, re.MULTILINE) == ["COPY --from=build /opt/gateway /opt/gateway"]


def test_what_it_copies_gets_past_dockerignore() -> None:
    """Everything is ignored but what is named there."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    sources = [word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, re.MULTILINE) for word in line.split()]
    assert len(sources) >= 4
    for source in sources:
        assert (ROOT / source).exists()
        assert any(Path(source).match(line[1:]) for line in ignored if line.startswith("!")), source
