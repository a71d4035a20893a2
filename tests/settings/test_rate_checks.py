"""Limits side by side: names taken twice, parameters that no path has."""

from __future__ import annotations

import pytest

from tests.settings.configs import UPSTREAMS, mistakes


def config(own: str, *routes: str) -> str:
    head = f"ingress:\n  rate_limit: {own}\n  routes:\n"
    return head + "".join(f"    - {route}\n" for route in routes) + UPSTREAMS


def route(rate_limit: str, path: str = "/a") -> str:
    return f"{{path: {path}, upstream: app, rate_limit: {rate_limit}}}"


def test_names_that_do_not_meet_may_be_the_same() -> None:
    text = config("[]", route("{limit: 1/s, name: one}"), route("{limit: 1/s, name: one}", "/b"))
    assert mistakes(text) == []


def test_a_name_is_taken_within_a_route() -> None:
    (found,) = mistakes(config("[]", route("[{limit: 1/s, name: one}, {limit: 2/s, name: one}]")))
    assert found == "4:90: another limit of this route has the name 'one'"


def test_a_name_is_taken_on_the_listener() -> None:
    (found,) = mistakes(
        config("{limit: 1/s, name: one}", "{path: /b, upstream: app}", route("{limit: 2/s, name: one}"))
    )
    assert found.endswith("another limit of ingress has the name 'one'")
    assert found.startswith("5:")
    (found,) = mistakes(config("[{limit: 1/s, name: one}, {limit: 1/h, name: one}]", route("[]")))
    assert found.startswith("2:")


@pytest.mark.parametrize("by", ["path:id", "[ip, path:id]"])
def test_a_parameter_is_one_of_the_paths(by: str) -> None:
    limit = f"{{limit: 1/s, by: {by}}}"
    assert mistakes(config("[]", route(limit, "/users/:id"))) == []
    (found,) = mistakes(config("[]", route(limit, "/users/:ids")))
    assert found.endswith("the route's path has no :id; did you mean 'ids'?")
    (found,) = mistakes(config("[]", route(limit, "/users")))
    assert found.endswith("the route's path has no :id")
    column = config("[]", route(limit, "/users")).splitlines()[3].index("path:id") + 1
    assert found.startswith(f"4:{column}: ")


def test_a_listener_has_no_path() -> None:
    (found,) = mistakes(config("{limit: 1/s, by: path:id}", route("[]", "/users/:id")))
    assert found == "2:32: 'path:id': a listener has no path; write this limit on the route"


@pytest.mark.parametrize("written", ["5", "[5]", "[[]]", "{limit: 1/s, by: {}}", "{limit: 1/s, name: []}"])
def test_odd_shapes_are_the_models_business(written: str) -> None:
    assert len(mistakes(config("[]", route(written)))) == 1


def test_a_path_that_is_wrong_is_said_once() -> None:
    (found,) = mistakes(config("[]", route("{limit: 1/s, by: path:id}", "users")))
    assert "does not begin with a slash" in found


# ---- in-flight caps


def test_caps_are_held_to_the_same() -> None:
    routes = [
        "{path: /a, upstream: app, in_flight: [{limit: 1, name: one}, {limit: 2, name: one}]}",
        "{path: /b, upstream: app, rate_limit: {limit: 1/s, name: one}, in_flight: {limit: 1, name: one}}",
        '{path: "/c/:ids", upstream: app, in_flight: {limit: 1, by: "path:id"}}',
    ]
    assert [found.partition(": ")[2] for found in mistakes(config("[]", *routes))] == [
        "another limit of this route has the name 'one'",
        "the route's path has no :id; did you mean 'ids'?",
    ]


def test_an_upstream_has_no_path_and_each_of_its_caps_a_name_of_its_own() -> None:
    caps = "[{limit: 1, name: one}, {limit: 2, by: path:id}, {limit: 3, name: one}]"
    listener = "ingress: {routes: [{path: /a, upstream: app}]}\n"
    text = f"{listener}upstreams:\n  app:\n    url: http://a\n    in_flight: {caps}\n"
    assert [found.partition(": ")[2] for found in mistakes(text)] == [
        "'path:id': an upstream has no path; write this limit on the route",
        "another limit of this upstream has the name 'one'",
    ]
