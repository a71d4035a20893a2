"""Flags as Unleash's own specification for its clients says them, and what is wrong with definitions that are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from gateway.rules.flags import unleash
from gateway.rules.flags.answer import Answer
from gateway.rules.flags.context import Context
from gateway.rules.flags.explanation import why
from gateway.rules.flags.flag_set import FlagSet
from gateway.rules.flags.instant import parse
from tests.support import npm

VERSION = "6.1.0"

#: Their states are events of the delta API, by which a client follows a server. The gateway follows none.
LEFT_OUT = {"19-delta-api-hydration.json": 1, "20-delta-api-events.json": 3}


@cache
def specifications() -> Path:
    return npm.package("@unleash/client-specification", VERSION) / "specifications"


def files() -> list[str]:
    found: list[str] = json.loads((specifications() / "index.json").read_text())
    return found


def cases(file: str) -> Iterator[tuple[str, dict[str, Any], FlagSet]]:
    specification = json.loads((specifications() / file).read_text())
    compiled = unleash.compiled(specification["state"])
    for kind in ("tests", "variantTests"):
        for case in specification.get(kind, ()):
            yield kind, case, compiled


def context(given: dict[str, Any]) -> Context:
    now = parse(given["currentTime"]) if "currentTime" in given else 1_767_225_600.0
    assert now is not None
    return Context(
        user=given.get("userId"),
        session=given.get("sessionId"),
        address=given.get("remoteAddress"),
        environment=given.get("environment"),
        app=given.get("appName"),
        properties=given.get("properties", {}),
        now=now,
        random="drawn",
    )


def as_unleash_says_it(answer: Answer | None) -> dict[str, Any]:
    variant = answer.variant if answer else None
    found: dict[str, Any] = {"name": variant.name if variant else "disabled", "enabled": variant is not None}
    if variant and variant.payload:
        found["payload"] = {"type": variant.payload.type, "value": variant.payload.value}
    return {**found, "feature_enabled": bool(answer and answer.on)}


def test_the_specification_passes_but_for_the_delta_api() -> None:
    passed, left_out = 0, dict.fromkeys(LEFT_OUT, 0)
    wrong = []
    for file in files():
        if file in LEFT_OUT:
            left_out[file] = len(json.loads((specifications() / file).read_text())["tests"])
            continue
        for kind, case, compiled in cases(file):
            flag = compiled.flags.get(case["toggleName"])
            asked = context(case["context"])
            answer = flag.evaluate(asked) if flag else None
            found = as_unleash_says_it(answer) if kind == "variantTests" else bool(answer and answer.on)
            if found != case["expectedResult"]:
                wrong.append((file, case["description"], found))
            else:
                passed += 1
            if flag:
                assert why(flag, asked).answer == answer
    assert wrong == []
    assert left_out == LEFT_OUT
    assert passed + sum(left_out.values()) == 279
