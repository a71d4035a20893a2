"""From a file, a text or nothing to settings; and that no text whatever does anything but load or be refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.settings import Address, ConfigError, Metrics, Settings, for_app, load, loads
from tests.settings.configs import SMALLEST, UPSTREAMS, mistake, mistakes

EVERYTHING = """\
ingress:
  bind: "[::1]:8080"
  trusted_proxies: [10.0.0.0/8, '::1']
  limits: &limits {connections: 10, request_line: 8KiB, linger: 2s}
  timeout: 60s
  routes:
    - name: generate
      path: /api/:id
      methods: [POST]
      upstream: app
      strip_prefix: /api
      timeout: {connect: 1s, total: false}
    - {path: /**, upstream: openai}
egress: {limits: *limits, routes: [{path: /**, upstream: openai}]}
upstreams:
  app:
    url: http://${HOST:-127.0.0.1}:3000/base
    breaker: {failures: 5, share: 20%, statuses: [500]}
    pool: {connections: 10, lifetime: false}
    tls: {verify: true}
  openai: {preset: openai, api_key: "${KEY}"}
drain: {delay: 0}
correlation: {header: X-Id, sampled: false}
metrics: false
log: {level: debug, format: text}
"""
ENV = {"KEY": "sk-hunter2"}


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(SMALLEST)
    assert load(str(path), {}) == loads(SMALLEST, "x", {})


def test_a_file_is_named_in_its_mistakes_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "g.yaml").write_text("drain: 5s\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^g\.yaml:1:1: needs ingress"):
        load("g.yaml", {})


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"a: \xff", "g.yaml:1:4: the file is not UTF-8"),
        (b"#" * 2_000_000, "g.yaml:1:1: the file is larger than 1 MiB"),
        (b"\xff\xfea\x00", "g.yaml:1:1: the file is not UTF-8"),
    ],
)
def test_a_file_that_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes, found: str) -> None:
    (tmp_path / "g.yaml").write_bytes(raw)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as raised:
        load("g.yaml", {})
    assert str(raised.value) == found


def test_a_file_that_cannot_be_had(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(str(tmp_path / "none"), {})
    with pytest.raises(IsADirectoryError):
        load(str(tmp_path), {})


@pytest.mark.parametrize("text", ["", "# nothing\n", "null\n", "---\n", "~"])
def test_a_file_that_says_nothing(text: str) -> None:
    assert mistake(text) == "1:1: the file says nothing; it needs ingress, egress or both"


@pytest.mark.parametrize("text", ["- a\n", "word\n", "'null'", "[]"])
def test_a_file_that_is_no_mapping(text: str) -> None:
    assert mistake(text) == "1:1: the file must be a mapping (key: value)"


def test_broken_yaml_has_its_place() -> None:
    assert mistake("ingress:\n  routes: [\n").startswith("3:1: ")


def test_everything_at_once() -> None:
    """Mistakes of every kind, in one run, each at its place."""
    places = [
        found.split(": ")[0]
        for found in mistakes("""\
            ingress:
              bind: nowhere
              retry: {}
              routes:
                - {path: /a, upstream: ap}
                - {path: /a b, upstream: app, path: /c}
                -
                - {upstream: "${NONE}"}
            upstreams:
              app: {url: "${NONE}", breaker: {failures: many, reste: 1s}}
              other:
            drain: {delay: 1}
            unheard: of
        """)
    ]
    assert places == [
        "2:9",
        "3:3",
        "5:28",
        "6:14",
        "6:35",
        "7:6",
        "8:7",
        "8:18",
        "10:14",
        "10:45",
        "10:51",
        "11:3",
        "12:16",
        "13:1",
    ]


def test_what_an_alias_repeats_is_said_once() -> None:
    routes = "routes: [{path: /**, upstream: app}]"
    text = f"ingress: {{limits: &l {{connections: 0}}, {routes}}}\negress: {{limits: *l, {routes}}}\n{UPSTREAMS}"
    assert mistakes(text) == ["1:36: '0' is out of range: 1 to 1000000"]


def test_for_app() -> None:
    found = for_app("http://127.0.0.1:3000/")
    text = "ingress:\n  bind: 0.0.0.0:8080\n  routes:\n    - {path: /**, upstream: app}\n" + UPSTREAMS
    assert found == loads(text, "x", {})
    assert found.metrics == Metrics(bind=Address("0.0.0.0", 9090))


def test_for_app_refuses_what_is_no_url() -> None:
    with pytest.raises(ConfigError) as raised:
        for_app("user:hunter2@x")
    assert str(raised.value).startswith("--app:1:1: the URL must begin with http://")


def test_everything_written_loads() -> None:
    app = loads(EVERYTHING, "x", ENV).upstreams["app"]
    assert app.url == "http://127.0.0.1:3000/base"


def refused_or_read(text: str) -> Settings | ConfigError:
    try:
        return loads(text, "f", ENV)
    except ConfigError as error:
        refusal = error
    assert refusal.mistakes
    for found in refusal.mistakes:
        assert found.line >= 1
        assert found.column >= 1
        assert found.message.isprintable()
        assert "hunter2" not in found.message
    return refusal


@given(st.text())
def test_no_text_does_anything_but_load_or_be_refused(text: str) -> None:
    assert isinstance(refused_or_read(text), ConfigError)


@given(st.text("\n :-{}[],&*!|>'\"%@#?~<$/\t0aé\x00\ud800\u2028\ufeff", max_size=60))
def test_no_punctuation_does_either(text: str) -> None:
    assert isinstance(refused_or_read(text), ConfigError)


SCALARS = st.one_of(
    st.sampled_from(
        [
            "",
            "~",
            "no",
            "false",
            "{}",
            "[]",
            "60s",
            "${KEY}",
            "${NONE}",
            "*a",
            "&a x",
            "'",
            "/**",
            "app",
            "1:30",
            "012",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8),
)
KEYS = st.one_of(
    st.sampled_from(
        [
            "ingress",
            "egress",
            "routes",
            "path",
            "upstream",
            "upstreams",
            "app",
            "url",
            "timeout",
            "breaker",
            "preset",
            "api_key",
            "limits",
            "metrics",
            "bind",
            "name",
            "cache",
            "<<",
        ]
    ),
    st.text(max_size=4),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def written(tree: object) -> str:
    """A tree as flow YAML, nothing quoted, so that it is often nearly a config."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key}: {written(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(written, tree)) + "]"
    return str(tree)


@given(st.dictionaries(KEYS, TREES, min_size=1, max_size=4))
def test_nothing_of_nearly_the_right_shape_does_either(tree: dict[str, object]) -> None:
    refused_or_read(written(tree))
    refused_or_read("\n".join(f"{key}: {written(value)}" for key, value in tree.items()))


@settings(max_examples=300)
@given(st.randoms(use_true_random=False))
def test_no_damage_to_a_whole_config_does_either(chance: random.Random) -> None:
    text = EVERYTHING
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(len(text))
        end = min(len(text), start + chance.choice([0, 1, 1, 5, 30]))
        put = chance.choice(
            ["", "x", " ", "\n", ":", "{", "]", "- ", "null", "${", "*limits", '"', EVERYTHING[end : end + 20]]
        )
        text = text[:start] + put + text[end:]
    refused_or_read(text)


def test_every_line_of_a_config_can_be_replaced() -> None:
    """Each value in turn becomes each of a few others: the answer is settings, or mistakes on lines that exist."""
    lines = EVERYTHING.splitlines()
    for index, line in enumerate(lines):
        key, colon, _ = line.partition(":")
        for value in ["", "{}", "[]", "false", "true", "'x'", "5", "[[]]", "{a: {b: c}}", "${NONE}"]:
            text = "\n".join([*lines[:index], f"{key}{colon} {value}", *lines[index + 1 :]])
            found = refused_or_read(text)
            if isinstance(found, ConfigError):
                assert all(mistake.line <= len(lines) for mistake in found.mistakes)


def test_the_app_may_be_named_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "ingress: {routes: [{path: /**, upstream: app}]}\nupstreams: {app: {url: http://a:1, in_flight: 3}}\n"
    )
    settings = load(str(file), {}, "http://b:2")
    assert str(settings.upstreams["app"].url) == "http://b:2"
    assert settings.upstreams["app"].in_flight
    file.write_text("ingress: {routes: [{path: /**, upstream: web}]}\nupstreams: {web: {url: http://a:1}}\n")
    with pytest.raises(ConfigError, match="the file has none"):
        load(str(file), {}, "http://b:2")
    with pytest.raises(ConfigError, match="--app"):
        load(str(file), {}, "b")
