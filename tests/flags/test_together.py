"""Flags told together: what each says, its lines, and its count, however often and to whomever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.flags.said import Said
from gateway.flags.together import MOST_KNOWN, Together, UsualFlag
from gateway.rules.flags.bucket import Usual
from gateway.rules.flags.context import Context

USUAL = st.builds(
    Usual,
    users=st.frozensets(st.sampled_from(["u1", "u2", "\ud800"])),
    groups=st.frozensets(st.sampled_from(["beta", "staff"])),
    prefix=st.sampled_from(["A:", "B:", "ü:"]),
    percent=st.integers(0, 100),
)
ASKED = st.builds(
    Context,
    user=st.sampled_from([None, "", "u1", "u2", "u3", "\ud800"]),
    session=st.sampled_from([None, "s1"]),
    random=st.sampled_from(["r1", "r2"]),
    groups=st.frozensets(st.sampled_from(["beta", "other"])),
)


def told(asks: list[Usual]) -> tuple[Together, dict[str, UsualFlag]]:
    flags = {
        f"F{number}": UsualFlag(one, Said(f"F{number}", "on", on=True), Said(f"F{number}", "off", on=False))
        for number, one in enumerate(asks)
    }
    return Together(flags), flags


@given(st.lists(USUAL, max_size=12), st.lists(ASKED, min_size=1, max_size=12), st.integers(1, 60))
def test_whatever_is_remembered_each_asker_is_told_what_each_flag_says(
    asks: list[Usual], askers: list[Context], times: int
) -> None:
    together, flags = told(asks)
    expected = dict.fromkeys(flags, 0)
    for asked in askers * times:
        said = together.by_name(together.ask(asked).said)
        alone = {name: Together({name: one}).ask(asked).said == b"\x01" for name, one in flags.items()}
        assert {name: one.on for name, one in said.items()} == alone
        assert together.ask(asked).lines == b"".join(one.line for one in said.values())
        for name, on in alone.items():
            expected[name] += 2 * on
    together.count()
    assert {name: one.on.count for name, one in flags.items()} == expected
    # Those that were asked alone have not been counted: nobody has asked for that.
    assert {one.off.count + one.on.count for one in flags.values()} <= {2 * times * len(askers)}


def test_a_byte_that_is_full_loses_nothing() -> None:
    everybody = Usual(frozenset(), frozenset(), "A:", 100)
    together, flags = told([everybody, everybody._replace(percent=0)])
    for number in range(10_000):
        together.ask(Context(user=f"u{number}"))
    together.count()
    assert [(one.on.count, one.off.count) for one in flags.values()] == [(10_000, 0), (0, 10_000)]


def test_askers_that_are_known_are_bounded() -> None:
    together, _ = told([Usual(frozenset(), frozenset(), "A:", 50)])
    for number in range(3 * MOST_KNOWN + 5):
        together.ask(Context(user=f"u{number}", groups=frozenset()))
    assert 0 < len(together._known) <= MOST_KNOWN
    before = len(together._known)
    together.ask(Context(user="u" * 10_000, groups=frozenset()))
    together.ask(Context(random="r", groups=frozenset()))
    assert len(together._known) == before, (
        "nobody in particular, and whoever has a long name, is asked about each time"
    )
