"""The tour suggests lines for the listeners that there are, and the README has the same ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.demo import tour

README = (Path(__file__).parents[2] / "README.md").read_text()
ADDRESSES = {"ingress": "127.0.0.1:8080", "egress": "127.0.0.1:8081", "metrics": "127.0.0.1:9090"}


def test_there_are_seven_steps_of_one_line() -> None:
    steps = tour.steps(ADDRESSES)
    assert len(steps) == 7
    assert not any("\n" in step.command + step.shows for step in steps)


@pytest.mark.parametrize(("number", "step"), list(enumerate(tour.steps(ADDRESSES), 1)))
def test_readme_takes_the_same_steps(number: int, step: tour.Step) -> None:
    assert f"\n{number}. {step.shows}\n" in README
    assert f"$ {step.command}\n" in README


def test_text_names_every_address() -> None:
    text = tour.text(ADDRESSES, "http://127.0.0.1:3000", "http://127.0.0.1:3001")
    for address in (*ADDRESSES.values(), "127.0.0.1:3000", "127.0.0.1:3001"):
        assert f"http://{address}" in text
    for step in tour.steps(ADDRESSES):
        assert step.command in text


@pytest.mark.parametrize("missing", ADDRESSES)
def test_what_a_config_of_ones_own_lacks_is_not_suggested(missing: str) -> None:
    present = {name: address for name, address in ADDRESSES.items() if name != missing}
    text = tour.text(present, "http://127.0.0.1:3000", "http://127.0.0.1:3001")
    assert ADDRESSES[missing] not in text
    assert "None" not in text
