"""Mistakes between sections, found in the same run as those inside them."""

from __future__ import annotations

import pytest

from tests.settings.configs import SMALLEST, UPSTREAMS, mistake, mistakes, read


@pytest.mark.parametrize("text", ["upstreams: {}", "ingress: false\negress: false", "log: {}"])
def test_one_listener_is_needed(text: str) -> None:
    assert mistake(text) == "1:1: needs ingress, egress or both"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("ap", "; did you mean 'app'?"), ("zzz", "; known: app"), ("'${NAME:-hunter2}'", "")],
)
def test_a_route_leads_to_an_upstream(name: str, hint: str) -> None:
    found = mistake(SMALLEST.replace("upstream: app", f"upstream: {name}"))
    assert found.startswith("3:29: no upstream is named")
    assert hint in found
    assert "hunter2" not in found


def test_without_upstreams_every_route_leads_nowhere() -> None:
    assert mistake("egress:\n  routes:\n    - {path: /**, upstream: app}\n") == "3:29: no upstream is named 'app'"


def test_names_are_unique_within_a_listener() -> None:
    route = "    - {path: /a, upstream: app, name: x}\n"
    assert (
        mistake(f"ingress:\n  routes:\n{route}{route}{UPSTREAMS}")
        == "4:39: another route of ingress has the name 'x'"
    )
    text = f"ingress:\n  routes:\n{route}egress:\n  routes:\n{route}{UPSTREAMS}"
    assert read(text).egress is not None


@pytest.mark.parametrize(
    ("ingress", "egress", "metrics", "port", "found"),
    [
        ("0.0.0.0:1", "127.0.0.1:1", "0", 1, ["egress and ingress"]),
        ("127.0.0.1:1", "127.0.0.2:1", "0", 1, []),
        ("127.0.0.1:0", "127.0.0.1:0", "0", 0, []),
        ("127.0.0.1:1", "127.0.0.1:2", "2", 2, ["metrics and egress"]),
        (":1", ":1", "1", 1, ["egress and ingress", "metrics and egress", "metrics and ingress"]),
    ],
)
def test_two_cannot_listen_on_one_port(ingress: str, egress: str, metrics: str, port: int, found: list[str]) -> None:
    said = mistakes(f"""
        ingress: {{bind: "{ingress}", routes: [{{path: /**, upstream: app}}]}}
        egress: {{bind: "{egress}", routes: [{{path: /**, upstream: app}}]}}
        metrics: {{bind: ":{metrics}"}}
        upstreams: {{app: {{url: "http://x"}}}}
    """)
    assert [message.split(": ")[1].removesuffix(f" cannot both listen on port {port}") for message in said] == found


def test_a_default_address_counts_and_the_written_one_is_the_mistake() -> None:
    found = mistake("ingress:\n  bind: :9090\n  routes: [{path: /**, upstream: app}]\n" + UPSTREAMS)
    assert found == "2:9: ingress and metrics cannot both listen on port 9090"
    assert (
        read("ingress: {bind: ':9090', routes: [{path: /**, upstream: app}]}\nmetrics: false\n" + UPSTREAMS).metrics
        is None
    )


def test_they_are_found_beside_the_mistakes_inside_the_sections() -> None:
    assert mistakes("""\
        ingress:
          bind: 0.0.0.0:1
          routes:
            - {path: nowhere, upstream: ap}
            - {path: /a, upstream: app, name: x, timeout: 5}
            - {path: /b, upstream: app, name: x}
        upstreams:
          app: {url: nowhere}
        metrics: {bind: ":1", bnd: 2}
    """) == [
        "4:14: 'nowhere' does not begin with a slash",
        "4:33: no upstream is named 'ap'; did you mean 'app'?",
        "5:51: '5' has no unit: write ms, s, m, h or d behind the number, as in 30s",
        "6:39: another route of ingress has the name 'x'",
        "8:14: the URL must begin with http:// or https:// and name a host, as in http://127.0.0.1:3000",
        "9:17: metrics and ingress cannot both listen on port 1",
        "9:23: unknown key 'bnd'; did you mean 'bind'?",
    ]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", ["4:31", "6:69"]),
        ("correlation: {header: x-b}", ["5:21"]),
        ("correlation: {header: X-Z}", []),
    ],
)
def test_the_correlation_ids_field_is_not_changed(header: str, found: list[str]) -> None:
    """Here lines and columns are those of the value, or of the list's item."""
    text = f"""\
        ingress:
          headers:
            request:
              set: {{x_correlation-id: a, X-C: c}}
              remove: [X-A, X-B]
          routes: [{{path: /**, upstream: app, headers: {{response: {{remove: [X-Correlation-ID]}}}}}}]
        upstreams:
          app: {{url: http://127.0.0.1:3000}}
        {header}
    """
    assert mistakes(text) == [f"{place}: this field carries the correlation id" for place in found]


@pytest.mark.parametrize(
    "text",
    [
        "ingress: {routes: [{headers: {request: {set: [], remove: {}}, response: 1}}], headers: []}",
        "ingress: {headers: {request: {set: {}, remove: [[]]}}}\ncorrelation: {header: []}",
        "ingress: 1",
        "ingress: []",
        "ingress: {routes: 1}",
        "ingress: {routes: [1]}",
        "ingress: {routes: [{}]}\nupstreams: 1",
        "ingress: {bind: []}",
    ],
)
def test_other_shapes_are_left_to_the_models(text: str) -> None:
    assert mistakes(text)
