"""YAML text to nodes: places, what is refused and where, and that everything is bounded."""

from __future__ import annotations

import pytest
import yaml

from gateway.settings import document
from gateway.settings.document import Mapping, Scalar, Sequence, Unreadable, compose, decode


@pytest.fixture(params=["C", "Python"], autouse=True)
def either_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here holds for the C parser and for the one that stands in where there is none."""
    if request.param == "Python":
        monkeypatch.setattr(document, "_LOADER", yaml.SafeLoader)
    else:
        assert document._LOADER is yaml.CSafeLoader


def refused(text: str) -> Unreadable:
    with pytest.raises(Unreadable) as raised:
        compose(text)
    return raised.value


def test_nodes_know_their_places() -> None:
    root = compose("a: 1\nb:\n  - x\n  - {c: 'y'}\n")
    assert isinstance(root, Mapping)
    (key_a, a), (_, b) = root.pairs
    assert isinstance(b, Sequence)
    assert (key_a.line, key_a.column, a.line, a.column) == (1, 1, 1, 4)
    assert [(item.line, item.column) for item in b.items] == [(3, 5), (4, 5)]


@pytest.mark.parametrize(
    "text", ["no", "1:30", "012", "1_000", "0x1F", "2001-01-01", "1e3", "=", ".inf", "y", "true"]
)
def test_a_plain_scalar_is_the_text_written(text: str) -> None:
    node = compose(text)
    assert isinstance(node, Scalar)
    assert (node.text, node.null) == (text, False)


@pytest.mark.parametrize(
    ("text", "null"), [("~", True), ("null", True), ("Null", True), ("'null'", False), ("''", False)]
)
def test_only_a_plain_null_is_null(text: str, null: bool) -> None:
    node = compose(text)
    assert isinstance(node, Scalar)
    assert node.null is null


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n"])
def test_nothing(text: str) -> None:
    assert compose(text) is None


def test_an_alias_stands_for_the_whole_value() -> None:
    root = compose("a: &t {b: 1}\nc: *t\n")
    assert isinstance(root, Mapping)
    assert root.pairs[0][1] is root.pairs[1][1]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: *b\n", 1, 4, "'b' has no anchor"),
        ("a: &a [*a]\n", 1, 8, "'a' has no anchor"),
        ("a: 1\n---\nb: 2\n", 2, 1, "another begins"),
        ("a:\n  - !!python/name:os.system x\n", 2, 5, "a tag"),
        ("a: !!str 1\n", 1, 4, "a tag"),
        ("a: ! x\n", 1, 4, "a tag"),
        ("a: 1\nb: \x00\n", 2, 4, "U+0000"),
        ("a: \ud800\n", 1, 4, "U+D800"),
    ],
)
def test_what_is_refused_and_where(text: str, line: int, column: int, message: str) -> None:
    error = refused(text)
    assert message in error.message
    assert (error.line, error.column) == (line, column)


@pytest.mark.parametrize(
    "text",
    [
        "a: [1\n",
        "a: 'x\n",
        "a: b: c\n",
        "\ta: 1\n",
        "a: {b: %}\n",
        "- a\nb: 1\n",
        "a: @x\n",
        "%YAML 3.0\n---\na: 1\n",
    ],
)
def test_broken_yaml_has_a_place(text: str) -> None:
    error = refused(text)
    assert 1 <= error.line <= text.count("\n") + 1
    assert error.column >= 1


def test_a_variable_without_quotes_in_a_flow_mapping_gets_a_hint() -> None:
    assert "needs quotes" in refused("a: {b: ${C}, d: 1}\n").message
    assert "needs quotes" not in refused("a: {b: [}\n").message


def test_aliases_do_not_grow_without_bound() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "aliases counted" in refused("\n".join(rows)).message


def test_aliases_do_not_nest_without_bound() -> None:
    rows = ["a0: &a0 []", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100))]
    assert "nested more than 32 deep" in refused("\n".join(rows)).message


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000])
def test_depth_is_bounded(text: str) -> None:
    """Newer versions of libyaml look ahead, and have a bound of their own."""
    message = refused(text).message
    assert "nested more than 32 deep" in message or "exceeded maximum nesting depth" in message


def test_the_number_of_values_is_bounded() -> None:
    assert "more than 20000 values" in refused("[" + "x, " * 100_000 + "]").message


def test_the_size_is_bounded() -> None:
    assert "larger than 1 MiB" in refused("#" * ((1 << 20) + 1)).message
    with pytest.raises(Unreadable, match="larger than 1 MiB"):
        decode(b"#" * ((1 << 20) + 1))


def test_bytes() -> None:
    assert decode(b"\xef\xbb\xbfa: \xc3\xa4") == "a: ä"
    with pytest.raises(Unreadable, match="not UTF-8") as raised:
        decode(b"a: 1\nb: \xff\n")
    assert (raised.value.line, raised.value.column) == (2, 4)
