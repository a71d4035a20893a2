"""`gateway breakers`: a table, JSON, and moving one by hand."""

from __future__ import annotations

import json

import pytest

from gateway.cli.main import main
from gateway.rules.breaker import Outcome
from tests.cli.conftest import Background

Capture = pytest.CaptureFixture[str]


def rows(capsys: Capture) -> list[list[str]]:
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_a_table(admin: Background, capsys: Capture) -> None:
    assert main(["breakers", "--url", admin.url]) == 0
    table = rows(capsys)
    assert table[0] == ["UPSTREAM", "STATE", "FAILURES", "PROBES", "RETRY"]
    assert table[2] == ["app", "closed", "0", "of", "5", "0", "of", "3"]


@pytest.mark.parametrize("name", ["app", "pay/ment", "öffentlich %"])
def test_one_is_opened_and_closed(admin: Background, name: str, capsys: Capture) -> None:
    circuit = admin.insides.breakers.circuits[name]
    assert main(["breakers", "--url", admin.url, "open", name]) == 0
    assert "open (held)" in capsys.readouterr().out
    assert circuit.held
    assert main(["breakers", "--url", admin.url, "close", name]) == 0
    assert not circuit.held
    assert main(["breakers", "open", name, "--url", admin.url, "--json"]) == 0
    capsys.readouterr()
    assert main(["breakers", "reset", name, "--url", admin.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "closed"


def test_one_that_is_not_there(admin: Background, capsys: Capture) -> None:
    assert main(["breakers", "--url", admin.url, "open", "nope"]) == 1
    assert capsys.readouterr() == ("", "gateway: There is no such breaker.\n")


@pytest.mark.parametrize("words", [["shut", "app"], ["open"], ["open", "app", "payment"]])
def test_wrong_usage(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["breakers", *words])
    assert raised.value.code == 2


def test_none_at_all(admin: Background, capsys: Capture) -> None:
    admin.insides.breakers.circuits.clear()
    assert main(["breakers", "--url", admin.url]) == 0
    assert capsys.readouterr().out == "There are no breakers.\n"


def test_the_time_of_a_retry_is_for_those_that_wait_for_it(admin: Background, capsys: Capture) -> None:
    circuit = admin.insides.breakers.circuits["app"]
    now = admin.insides.breakers.now
    for _ in range(5):
        permit = circuit.admit(now)
        assert permit is not None
        circuit.record(permit, Outcome.FAILED, now)
    assert main(["breakers", "--url", admin.url]) == 0
    assert rows(capsys)[2][-2] == "in"
    admin.insides.breakers.now = now + circuit.rule.reset
    assert main(["breakers", "--url", admin.url]) == 0
    assert rows(capsys)[2] == ["app", "half-open", "0", "of", "5", "0", "of", "3"]
