"""What the stand-in provider's models do, whichever API asks for them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NORMAL = "demo"
FAILING = "demo-failing"  # always 500
SLOW = "demo-slow"  # begins late
BREAKING = "demo-breaking"  # cuts the connection in the middle of a stream; 500 when not streamed

NAMES = (NORMAL, FAILING, SLOW, BREAKING)


class UnknownModelError(Exception):
    """The request names no model of ours."""


class ModelFailedError(Exception):
    """The model fails, as its name says."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The key that is right, and how fast things go (seconds)."""

    key: str
    pace: float
    patience: float


async def words(model: object, said: str, behaviour: Behaviour, *, streamed: bool) -> list[str]:
    """The model's answer, split where a stream would be; joined, they are the whole.

    UnknownModelError, ModelFailedError.
    """
    if model not in NAMES:
        raise UnknownModelError
    if model == FAILING or (model == BREAKING and not streamed):
        raise ModelFailedError
    if model == SLOW:
        await asyncio.sleep(behaviour.patience)
    first, *rest = f"You said: {said}".split(" ")
    return [first, *(f" {word}" for word in rest)]


def last_user_text(body: Mapping[str, Any]) -> str:
    """What the user said last; both APIs send it as a string or as a list of parts."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return ""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
    return ""


def tokens(text: str) -> int:
    """Near enough: a word is a token."""
    return len(text.split())
