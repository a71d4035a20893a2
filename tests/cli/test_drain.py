"""`gateway drain`: begins it, waits until that very process has drained or ended, and not for ever."""

from __future__ import annotations

import functools
import io
import json

import pytest
from rich.console import Console

from gateway.cli import progress
from gateway.cli.main import main
from tests.admin.memory import MemoryProcess
from tests.cli.conftest import Background

Capture = pytest.CaptureFixture[str]


def test_it_waits_until_ingress_has_drained(admin: Background, capsys: Capture) -> None:
    timer = admin.later(0.4, lambda: setattr(admin.insides.process, "drained", True))
    assert main(["drain", "--url", admin.url, "--json"]) == 0
    timer.join()
    said = json.loads(capsys.readouterr().out)
    assert said["drained"] is True
    assert said["seconds"] >= 0.4


def test_what_has_drained_already_is_not_waited_for(admin: Background, capsys: Capture) -> None:
    admin.insides.process.drained = True
    assert main(["drain", "--url", admin.url, "--timeout", "0s"]) == 0
    assert capsys.readouterr().out == "drained in 0.0s\n"


def test_people_see_what_it_waits_for(admin: Background, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    console = functools.partial(Console, force_terminal=True, file=(seen := io.StringIO()))
    monkeypatch.setattr(progress, "Console", lambda **_: console())
    timer = admin.later(0.3, lambda: setattr(admin.insides.process, "drained", True))
    assert main(["drain", "--url", admin.url]) == 0
    timer.join()
    assert "2 requests in flight on ingress" in seen.getvalue()


def test_it_waits_until_nobody_listens(admin: Background, capsys: Capture) -> None:
    timer = admin.later(0.4, admin.close)
    assert main(["drain", "--url", admin.url]) == 0
    timer.join()
    assert admin.insides.process.phase == "draining"
    assert capsys.readouterr().out.startswith("drained in ")


def test_another_process_in_its_place_is_its_end_too(admin: Background, capsys: Capture) -> None:
    def restart() -> None:
        admin.close()
        admin.insides.process = MemoryProcess()
        admin.serve(admin.port)

    timer = admin.later(0.3, restart)
    assert main(["drain", "--url", admin.url, "--json"]) == 0
    timer.join()
    assert json.loads(capsys.readouterr().out)["drained"] is True
    assert admin.insides.process.phase == "ready"


def test_it_does_not_wait_for_ever(admin: Background, capsys: Capture) -> None:
    assert main(["drain", "--url", admin.url, "--timeout", "300ms"]) == 1
    assert capsys.readouterr().err == "gateway: it has not drained in 300ms: 2 requests in flight on ingress\n"
    assert admin.insides.process.phase == "draining"


def test_nobody_to_drain(admin: Background, capsys: Capture) -> None:
    admin.close()
    assert main(["drain", "--url", admin.url]) == 3


def test_without_the_token(guarded: Background, capsys: Capture) -> None:
    assert main(["drain", "--url", guarded.url]) == 1
    assert guarded.insides.process.phase == "ready"


def test_wrong_usage(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["drain", "--timeout", "soon"])
    assert raised.value.code == 2
    assert "'soon' is not a duration" in capsys.readouterr().err
