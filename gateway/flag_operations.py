"""The running flags as the admin API asks for them. Only assembly imports this."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import time
from typing import Any, Literal, TypeVar, cast

from gateway.admin import flag_ports as shapes
from gateway.admin.flag_ports import WrongFlag
from gateway.admin.ports import NotThere, Unavailable
from gateway.flags.ports import Change, NoSuchFlag, WrongChange
from gateway.flags.registry import Registry, Shown
from gateway.rules.flags import explanation, given, ofrep
from gateway.rules.flags.compiling import Place, Wrong
from gateway.rules.flags.explanation import Explanation
from gateway.rules.flags.given import Here
from gateway.rules.flags.layers import as_value
from gateway.state.ports import Unavailable as Unanswered

_Found = TypeVar("_Found")


class Flags:
    """The registry; `here` gives what the config in force says of contexts, `random` so many random bytes."""

    def __init__(self, registry: Registry, here: Callable[[], Here], random: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._here = here
        self._random = random

    @property
    def kept(self) -> Literal["redis", "file", "memory"]:
        """See flag_ports."""
        return cast('Literal["redis", "file", "memory"]', self._registry.kept)

    def all(self) -> list[shapes.Flag]:
        """See flag_ports."""
        return [_flag(shown) for shown in self._registry.all()]

    def get(self, name: str) -> shapes.Flag:
        """See flag_ports."""
        return _flag(_there(lambda: self._registry.shown(name)))

    async def put(self, name: str, live: dict[str, Any] | None, who: str, why: str) -> shapes.Flag:
        """See flag_ports."""
        return _flag(await _asked(self._registry.put(name, live, who, why)))

    async def patch(self, name: str, live: dict[str, Any], who: str, why: str) -> shapes.Flag:
        """See flag_ports."""
        return _flag(await _asked(self._registry.patch(name, live, who, why)))

    async def history(self, name: str, most: int) -> list[shapes.FlagChange]:
        """See flag_ports."""
        return [_change(one) for one in await _asked(self._registry.history(name, most))]

    def why(self, name: str, context: dict[str, Any]) -> shapes.FlagExplanation:
        """See flag_ports."""
        _there(lambda: self._registry.shown(name))
        try:
            asked = given.context(context, time(), self._random(8).hex(), self._here())
        except given.NoMoment:
            raise WrongFlag([("/context/now", "is no date (RFC 3339)")]) from None
        return _explained(explanation.why(self._registry.current.flags[name], asked))


def _flag(shown: Shown) -> shapes.Flag:
    value = dict(as_value(shown.effective) or {})
    return {
        "name": shown.name,
        "enabled": value.get("enabled", True) is True,
        "value": value,
        "file": _value(shown.file),
        "environment": _value(shown.environment),
        "live": _value(shown.live),
        "changed": None if shown.changed is None else _change(shown.changed),
        "ignored": [str(one) for one in shown.ignored],
    }


def _value(raw: object) -> dict[str, Any] | None:
    value = as_value(raw)
    return None if value is None else dict(value)


def _change(change: Change) -> shapes.FlagChange:
    return {"when": change.when, "who": change.who, "why": change.why, "live": _value(change.value)}


def _explained(found: Explanation) -> shapes.FlagExplanation:
    plain = cast("dict[str, Any]", explanation.plain(found))
    return {
        "flag": found.flag,
        "on": found.answer.on,
        "variant": ofrep.variant(found.answer),
        "reason": found.answer.reason,
        "because": found.because,
        "prerequisites": plain["prerequisites"],
        "guards": plain["guards"],
        "strategies": plain["strategies"],
        "draw": plain["variant"],
    }


def _there(do: Callable[[], _Found]) -> _Found:
    try:
        return do()
    except NoSuchFlag as error:
        raise _missing(error) from None


async def _asked(asking: Awaitable[_Found]) -> _Found:
    try:
        return await asking
    except NoSuchFlag as error:
        raise _missing(error) from None
    except WrongChange as error:
        raise WrongFlag([_mistake(one) for one in error.mistakes]) from None
    except Unanswered as error:
        raise Unavailable(f"Flags cannot be changed or looked back at now: {error}") from None


def _missing(error: NoSuchFlag) -> NotThere:
    nearest = f"is it {error.nearest}?" if error.nearest else "/api/v1/flags lists those that there are."
    return NotThere(f"There is no flag of this name; {nearest}")


def _mistake(wrong: Wrong) -> tuple[str, str]:
    """A mistake's place in the request; where another flag would be broken, the message says which."""
    if wrong.at[:1] == ("define",):
        return "/live", f"it would be wrong then that {wrong}"
    return _pointer(wrong.at), wrong.message


def _pointer(at: Place) -> str:
    return "/live" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in at)
