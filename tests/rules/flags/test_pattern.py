"""Regular expressions as RE2 reads them, in time that grows with the text."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.flags.automaton import LONGEST
from gateway.rules.flags.pattern import compiled


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("", ["", "a"], []),
        ("b", ["b", "abc"], ["", "B"]),
        ("^b", ["b", "bc"], ["ab", "a\nb"]),
        ("b$", ["b", "ab"], ["b\n", "bc"]),
        ("(?m)^b$", ["a\nb\nc", "b"], ["ab", "a\nbc"]),
        (r"\Ab\z", ["b"], ["b\n", "\nb"]),
        (r"\bcat\b", ["a cat", "cat!"], ["cats", "1cat", "_cat"]),
        (r"\Bcat", ["concat"], ["cat", "a cat"]),
        ("a.b", ["axb", "aéb"], ["a\nb", "ab"]),
        ("(?s)a.b", ["a\nb"], ["ab"]),
        ("^(ab|a)(c|bcd)$", ["abc", "abcd", "ac"], ["ab", "abbc"]),
        ("^(?:ab)+$", ["ab", "abab"], ["", "aba"]),
        ("^a{2}$", ["aa"], ["a", "aaa"]),
        ("^a{2,}$", ["aa", "aaaa"], ["a"]),
        ("^a{0,2}$", ["", "a", "aa"], ["aaa"]),
        ("^a{,2}$", ["a{,2}"], ["", "aa"]),
        ("^a{$", ["a{"], ["a"]),
        ("^a*?b+?c??$", ["b", "aabb", "abc"], ["a", "c"]),
        ("[^a-c]", ["d", "\n"], ["", "abc"]),
        ("^[]a]+$", ["]a]"], ["b"]),
        ("^[a-]+$", ["a-a"], ["b"]),
        (r"^[\d\-x]+$", ["1-x"], ["a"]),
        (r"^[^\D5]+$", ["1234"], ["5", "a"]),
        ("^[[:alpha:]_]+$", ["ab_"], ["é", "1"]),
        ("^[[:^digit:]]+$", ["ab "], ["a1"]),
        (r"^\w+\s\W\D\S$", ["ab1_ -xy"], ["é -xy", "a1-xy"]),
        (r"^\x41\x{1F600}\101\t\.\/$", ["A\U0001f600A\t./"], ["A\U0001f600A\txx"]),
        (r"^\Qa.b*\E+$", ["a.b***"], ["aab*"]),
        ("(?i)straße", ["STRAßE", "strAße"], ["strase"]),
        ("^a(?i)b(?-i)c$", ["abc", "aBc"], ["Abc", "abC"]),
        ("^(?i:a)b$", ["Ab"], ["AB"]),
        ("^((?i)a)b$", ["Ab"], ["AB"]),
        ("^a(?i)b|c$", ["aB", "C"], ["A", "bd"]),
        ("(?i)^[^a]$", ["b"], ["a", "A"]),
        ("(?P<name>a)(?<other>b)", ["ab"], ["a"]),
        ("(|a)+$", ["", "aaa"], []),
        ("(a*)*b", ["b", "aab"], ["aaa"]),
        ("(^|,)x($|,)", ["x", "a,x,b"], ["ax", "xx"]),
    ],
)
def test_what_matches(pattern: str, matching: list[str], others: list[str]) -> None:
    search = compiled(pattern)
    for _ in range(2):  # and from what is remembered
        assert [text for text in matching if not search(text)] == []
        assert [text for text in others if search(text)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "(", ")", "(a", "a)", "[a", "[]", "[b-a]", "[[:x", "*", "a|*", "a**", "a+*", "a{2}{3}", "a{1001}", "a{3,2}",
        "\\", r"\1", r"(a)\1", r"\p{L}", r"\Z", r"\é", r"\x{110000}", r"[[:letters:]]", "(?=a)", "(?!a)", "(?<=a)",
        "(?<!a)", "(?>a)", "(?P=n)", "(?#c)", "(?z)", "(" * 51 + ")" * 51, "a" * 1001, "(a{100}){100}",
        "((((a|b){1000}){1000}){1000}){1000}",
    ],
)  # fmt: skip
def test_what_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        compiled(pattern)


def test_repeating_nothing_a_thousand_times_over_is_quick() -> None:
    assert compiled("(((){1000}){1000}){1000}a")("a")


def test_case_is_left_out_of_account_where_asked() -> None:
    assert compiled("^abc$", ignore_case=True)("aBC")
    assert not compiled("^abc$")("aBC")


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(.*)*x$", "(a*)*(a*)*b", "(x+x+)+y", "(a?){30}a{30}$"])
def test_no_pattern_takes_long(pattern: str) -> None:
    """Python's own would go on for longer than anybody lives."""
    text = "a" * (LONGEST - 1) + "!"
    assert not compiled(pattern)(text)


def test_long_texts_never_match() -> None:
    assert compiled("a")("a" * LONGEST)
    assert not compiled("a")("a" * (LONGEST + 1))


def test_what_is_remembered_is_bounded() -> None:
    search = compiled("^(a|b)*a(a|b){10}x$")
    for number in range(200):
        text = "".join("ab"[(number * 7919 >> bit) & 1] for bit in range(60))
        assert not search(text)
        assert search(f"{text}a{'b' * 10}x")
    automaton = search.__self__  # type: ignore[attr-defined]
    assert automaton._remembered <= 4096
    assert len(automaton._states) <= 4097


atoms = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", "^", "$", r"\b", "(?:a|b)", "(?:ab)", "1", r"\B"]
)
counts = st.sampled_from(["", "*", "+", "?", "{2}", "{1,2}", "{2,}", "*?"])
rows = st.lists(st.tuples(atoms, counts), max_size=4).map(
    lambda row: "".join(atom + ("" if atom in ("^", "$", r"\b", r"\B") else count) for atom, count in row)
)
patterns = st.lists(rows, min_size=1, max_size=3).map("|".join)


@given(patterns, st.lists(st.text(alphabet="ab1 _", max_size=8), min_size=1, max_size=5), st.booleans())
def test_as_python_s_own_where_these_agree(pattern: str, texts: list[str], nested: bool) -> None:
    pattern = f"(?:{pattern})+" if nested else pattern
    theirs = re.compile(pattern.replace("$", r"\Z"), re.ASCII)
    search = compiled(pattern)
    for text in texts:
        if text or r"\B" not in pattern:  # Python's own, up to 3.13, does not find it where there is nothing at all
            assert search(text) == (theirs.search(text) is not None)


@given(st.text(alphabet=r"ab(){}[]?*+|\^$.-,:1iQEdwbz<P>=!" + string.digits, max_size=20), st.text(max_size=10))
def test_nothing_but_a_refusal_comes_of_any_pattern(pattern: str, text: str) -> None:
    try:
        search = compiled(pattern)
    except ValueError:
        return
    search(text)
