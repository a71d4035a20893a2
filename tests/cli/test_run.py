"""`gateway run`: its config's first reading, and that nothing is missed between that and the watch for changes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import yaml

from tests.support.config import config

PROGRAM = """
import sys
from pathlib import Path
from gateway import settings
from gateway.cli.main import main

load = settings.load

def load_and_change(path, env, app):
    found = load(path, env, app)
    changed = Path(path).read_text().replace("name: all", "name: changed")
    Path(path).write_text(changed)
    settings.load = load
    return found

settings.load = load_and_change
sys.exit(main(["run", "--config", sys.argv[1]]))
"""


def said(command: list[str], events: tuple[str, ...], stdin: str | None = None) -> str:
    """What it says until one of these events, at the end of which it is terminated."""
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, *command], **options) as process:  # type: ignore[call-overload]
        timer = threading.Timer(30, process.kill)
        timer.start()
        process.stdin.write(stdin or "")
        process.stdin.close()
        found = ""
        for line in process.stderr:
            found += line
            if any(f'"{event}"' in line for event in events):
                break
        timer.cancel()
        process.terminate()
    return found


def test_a_change_just_after_the_first_reading_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(config(("127.0.0.1", 1))))
    assert '"config_reloaded"' in said(["-c", PROGRAM, str(path)], ("config_reloaded", "config_refused"))


def test_a_config_may_come_through_a_pipe() -> None:
    text = yaml.safe_dump(config(("127.0.0.1", 1)))
    assert '"ready"' in said(["-m", "gateway", "run", "--config", "/dev/stdin"], ("ready",), text)
