"""Flags asked for exchanges: one answer a request whatever changes meanwhile, told and counted once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.entropy import Entropy
from gateway.exchange import Exchange
from gateway.flags.answering import MOST_VALUES, OTHER, Tally
from gateway.flags.evaluator import Evaluator
from gateway.flags.gates import Strip, Tell, said_by
from gateway.flags.registry import Registry
from gateway.flags.request_context import Reading, Sources
from gateway.flags.said import field_name
from gateway.flags.together import MOST_KNOWN
from gateway.rules.flags.flag import Prerequisite
from gateway.rules.flags.forced import Forced
from gateway.rules.request_head import Interest
from tests.support.exchanges import exchange

DEFINE: dict[str, Any] = {
    "A_B": {"users": ["u1"]},
    "V": {"users": ["u1"], "variants": [{"name": "off", "weight": 1}, {"name": "naïve\r\nX: y", "weight": 0}]},
    "RANDOM": {"rollout": "50%", "stickiness": "random"},
    "LATER": {"constraints": [{"field": "header:X-Late", "operator": "IN", "values": ["1"]}]},
}
ON, OFF = [(b"X-User-Id", b"u1")], [(b"X-User-Id", b"u2")]


class Site:
    """Flags as a config has them."""

    def __init__(self, define: dict[str, Any] = DEFINE, forced: Forced | None = None) -> None:
        self.registry = Registry({})
        self.tally = Tally()
        self.change(define)
        sources = Sources(user="header:X-User-Id")
        also = sources.fields(["header:X-Late"]) | ({forced.name} if forced else set())
        self._interest = Interest("X-Correlation-ID", ingress=True, also=frozenset(also))
        self.evaluator = Evaluator(self.registry, self.tally, Reading(sources, Entropy()), forced)

    def change(self, define: dict[str, Any]) -> None:
        self.registry.configure(define, {})
        assert not self.registry.current.wrong

    def exchange(self, fields: Sequence[tuple[bytes, bytes]] = ()) -> Exchange:
        return exchange(fields=fields, interest=self._interest)

    def tell(self, one: Exchange, *names: str) -> bytes:
        assert Tell(self.evaluator, names).check(one, 0.0) is None
        return b"".join(one.added)

    def counts(self) -> dict[tuple[str, str], int]:
        return {(flag, value): count for flag, value, count in self.tally.counts() if count}


def test_the_lines_and_the_counts() -> None:
    site = Site()
    assert site.tell(site.exchange(ON), "A_B", "V") == b"X-Feature-A-B: on\r\nX-Feature-V: off\r\n"
    assert site.tell(site.exchange(OFF), "A_B", "GONE") == b"X-Feature-A-B: off\r\nX-Feature-GONE: off\r\n"
    assert site.counts() == {("A_B", "on"): 1, ("V", "off"): 1, ("A_B", "off"): 1, ("GONE", "off"): 1}


def test_a_name_and_a_value_that_no_field_could_have_do_no_harm() -> None:
    assert field_name("new search/2") == b"X-Feature-new-search-2"
    site = Site(forced=Forced("X-Feature", token="correct-horse"))
    head = [*ON, (b"X-Feature", b"token=correct-horse, V=na\xc3\xafve\r\nX: y")]
    assert site.tell(site.exchange(head), "V") == b"X-Feature-V: off\r\n", "the forced one has no line ends"
    site.change({"V": {"variants": [{"name": "naïve\r\nX: y", "weight": 1}]}})
    assert site.tell(site.exchange(), "V") == b"X-Feature-V: na%C3%AFve%0D%0AX: y\r\n"


def test_one_request_gets_one_answer() -> None:
    site = Site()
    answers = set()
    for _ in range(64):
        one = site.exchange(ON)
        context = site.evaluator.of(one)
        said = context.ask("RANDOM")
        assert all(context.ask("RANDOM") is said for _ in range(8))
        answers.add(said.value)
    assert answers == {"on", "off"}
    assert sum(site.counts().values()) == 64


def test_what_changes_meanwhile_is_for_the_next_request() -> None:
    site = Site()
    one = site.exchange(ON)
    met = site.evaluator.met([Prerequisite("A_B")])
    assert met is not None
    assert met(one)
    site.change({**DEFINE, "A_B": False, "V": False})
    assert met(one)
    assert site.tell(one, "A_B", "V") == b"X-Feature-A-B: on\r\nX-Feature-V: off\r\n"
    assert site.counts()["V", "off"] == 1
    assert not met(site.exchange(ON))


def test_fields_that_are_changed_on_the_way_change_no_answer() -> None:
    site = Site()
    one = site.exchange([(b"X-Late", b"1")])
    context = site.evaluator.of(one)
    one.head = one.head.copy()
    one.head.noted.clear()
    one.head.kept = []
    assert context.ask("LATER").on


@pytest.mark.parametrize(
    ("wanted", "for_u1"),
    [
        ([Prerequisite("A_B")], True),
        ([Prerequisite("A_B", False)], False),
        ([Prerequisite("V", True, frozenset({"off", "x"}))], True),
        ([Prerequisite("V", True, frozenset({"x"}))], False),
        ([Prerequisite("A_B"), Prerequisite("GONE")], False),
        ([Prerequisite("A_B"), Prerequisite("GONE", False)], True),
    ],
)
def test_what_is_required(wanted: list[Prerequisite], for_u1: bool) -> None:
    site = Site()
    met = site.evaluator.met(wanted)
    assert met is not None
    assert met(site.exchange(ON)) is for_u1
    assert site.evaluator.met([]) is None


def test_all_that_an_answer_may_depend_on() -> None:
    site = Site()
    tell = Tell(site.evaluator, ["A_B"])
    said = said_by(site.evaluator, tell, ["V"])
    told, untold = site.exchange(ON), site.exchange(ON)
    tell.check(told, 0.0)
    assert said(told) == said(untold) != said(site.exchange(OFF))
    assert said_by(site.evaluator, None, ["V"])(told) == b"X-Feature-V: off\r\n"


def test_the_field_that_forces_goes_by_whatever_name_it_has() -> None:
    site = Site(forced=Forced("X-Try", token="correct-horse"))
    one = site.exchange([(b"X-Try", b"A_B, token=correct-horse"), (b"X_Try", b"more"), (b"X-Trying", b"stays")])
    before = one.head
    assert Strip(site.evaluator, b"x-try").check(one, 0.0) is None
    assert b"X-Trying" in one.head.kept
    assert not {b"X-Try", b"X_Try"} & set(one.head.kept)
    assert one.head.values(b"x-try") == []
    assert before is not one.head
    assert b"X-Try" in before.kept, "a head may be that of several requests"
    assert site.tell(one, "A_B") == b"X-Feature-A-B: on\r\n"


def test_who_forces_a_flag_with_variants_on_gets_one_of_them() -> None:
    site = Site(forced=Forced("X-Try", token="correct-horse"))
    one = site.exchange([*OFF, (b"X-Try", b"V, token=correct-horse")])
    assert site.evaluator.of(one).said["V"].value == "off"
    assert site.evaluator.of(one).said["V"].on


def test_labels_are_bounded() -> None:
    variants = [{"name": f"v{number}", "weight": 1} for number in range(2 * MOST_VALUES)]
    site = Site({"V": {"variants": variants, "stickiness": "random"}})
    for _ in range(20 * MOST_VALUES):
        site.evaluator.of(site.exchange()).ask("V")
    counts = site.counts()
    assert len(counts) == MOST_VALUES + 1
    assert sum(counts.values()) == 20 * MOST_VALUES
    assert counts["V", OTHER] > 0
    site.change({"W": True})
    site.evaluator.of(site.exchange()).ask("W")
    assert site.counts() == {("W", "on"): 1}


def test_flags_told_together_are_asked_once_whoever_asks_first() -> None:
    site = Site()
    tell = Tell(site.evaluator, list(DEFINE))
    for first in (True, False):
        one = site.exchange(ON)
        context = site.evaluator.of(one)
        if first:
            assert context.ask("RANDOM").value == context.ask("RANDOM").value
        lines = tell.lines(context)
        assert (
            tell.lines(context)
            == lines
            == b"".join(context.ask(name).line for name in ("A_B", "V", "RANDOM", "LATER"))
        )
    assert sum(site.counts().values()) == 2 * len(DEFINE)


def test_who_asks_again_gets_what_he_got_and_all_is_counted() -> None:
    site = Site({"A": {"users": ["u1"], "rollout": "50%"}, "B": {"groups": ["beta"], "rollout": "0"}})
    tell = Tell(site.evaluator, ["A", "B"])

    def told(user: bytes | None) -> bytes:
        one = site.exchange([] if user is None else [(b"X-User-Id", user)])
        assert tell.check(one, 0.0) is None
        assert site.evaluator.of(one).ask("A").line in one.added[0]
        return one.added[0]

    for _ in range(3):
        assert told(b"u1").startswith(b"X-Feature-A: on")
    assert sum(site.counts().values()) == 6
    assert len({told(None) for _ in range(64)}) == 2, "nobody in particular is drawn anew each time"
    for number in range(3000):
        told(b"u%d" % (number % 1500))
    assert sum(site.counts().values()) == 6 + 2 * 64 + 2 * 3000
    (together,) = site.evaluator.of(site.exchange()).book.told.values()
    assert 0 < len(together._known) <= MOST_KNOWN
    told(b"u1")
    site.change({"A": False, "B": False})
    assert told(b"u1") == b"X-Feature-A: off\r\nX-Feature-B: off\r\n"
    assert sum(site.counts().values()) == 6 + 2 * 64 + 2 * 3000 + 4


def test_a_flag_that_wants_a_forced_one_goes_by_what_that_says_to_others() -> None:
    define = {"A": False, "B": {"requires": ["A"]}}
    site = Site(define, forced=Forced("X-Try", token="correct-horse"))
    one = site.exchange([(b"X-Try", b"A, token=correct-horse")])
    context = site.evaluator.of(one)
    assert [context.ask(name).value for name in "AB"] == ["on", "off"]
