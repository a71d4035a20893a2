"""`flags:` at the top, as it is written."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gateway.settings.flags import is_own
from tests.settings.configs import mistake, read, with_section

WHOLE = """
flags:
  context:
    user: jwt:sub
    session: cookie:sid
    groups: header:X-User-Groups
    environment: production
    properties: {plan: "header:X-Plan"}
  segments: {paying: {field: plan, operator: IN, values: [pro]}}
  define: {A: {rollout: 25%, segments: paying}, B: false}
  store: /var/lib/gateway/flags.json
  ofrep: /flags
  override: {from: [10.0.0.0/8], token: "${TOKEN:-}"}
"""


def test_what_it_says() -> None:
    flags = read(with_section(WHOLE), {"TOKEN": "hunter22"}).flags
    assert flags.define == {"A": {"rollout": "25%", "segments": ["paying"]}, "B": False}
    assert flags.segments == {"paying": [{"field": "plan", "operator": "IN", "values": ["pro"]}]}
    assert (flags.context.user, flags.context.session) == ("jwt:sub", "cookie:sid")
    assert flags.store == "/var/lib/gateway/flags.json"
    assert flags.ofrep is not None
    assert (flags.ofrep.path, flags.ofrep.base, flags.ofrep.token) == ("/flags", "/flags", None)
    assert flags.override is not None
    assert flags.override.header == "X-Feature"
    assert flags.override.networks == (ip_network("10.0.0.0/8"),)
    assert flags.override.token is not None
    assert flags.override.token.get_secret_value() == "hunter22"
    assert flags.in_use


def test_nothing_is_said_by_default() -> None:
    flags = read(with_section("")).flags
    assert (flags.context.user, flags.context.session, flags.context.groups) == (None, None, None)
    assert [flags.ofrep, flags.override, flags.store] == [None, None, None]
    assert not flags.in_use


def test_an_empty_token_is_none() -> None:
    override = read(with_section(WHOLE)).flags.override
    assert override is not None
    assert override.token is None


def test_what_can_be_asked_of_a_request() -> None:
    context = read(with_section(WHOLE)).flags.context
    for name in ("plan", "header:X-A", "cookie:a", "query:a", "jwt:a", "path"):
        assert context.known(name)
    for name in ("plans", "header:", "header:X-Feature-A", "header:x_feature_a", "body:a"):
        assert not context.known(name)


@pytest.mark.parametrize("written", ["/", "{path: /}", "{path: /, token: hunter22}"])
def test_ofrep_may_stand_at_the_root(written: str) -> None:
    ofrep = read(with_section(f"flags: {{ofrep: {written}}}")).flags.ofrep
    assert ofrep is not None
    assert ofrep.base == ""


@pytest.mark.parametrize(
    ("section", "found"),
    [
        ("{context: {user: X-User-Id}}", "'X-User-Id' is nothing that requests have"),
        ("{context: {user: 'heder:X-User-Id'}}", "'heder:X-User-Id' is nothing that requests have"),
        ("{context: {user: path}}", "'path' is nothing that requests have"),
        ("{context: {user: 'header:X-Feature-A'}}", "are taken out of requests"),
        ("{context: {usr: 'jwt:sub'}}", "unknown key 'usr'; did you mean 'user'?"),
        ("{context: {properties: {user: 'jwt:sub'}}}", "'user' has a meaning already"),
        ("{context: {properties: {'a b': 'jwt:sub'}}}", "'a b' cannot be a property's name"),
        ("{define: {'A B': true}}", "'A B' cannot be a flag's name"),
        ("{define: [A]}", "must be a mapping"),
        ("{ofrep: /flags/}", "ends in a slash"),
        ("{ofrep: '/:id'}", "a prefix has no parameters"),
        ("{override: {header: X_Feature_A}}", "another name is needed here"),
        ("{override: {token: 'a, b'}}", "a token is 1 to 200"),
        ("{override: {from: [here]}}", "'here'"),
        ("{overide: {}}", "unknown key 'overide'; did you mean 'override'?"),
    ],
)
def test_what_is_refused(section: str, found: str) -> None:
    only = mistake(with_section(f"flags: {section}"))
    assert only.startswith("6:")
    assert found in only


def test_a_token_is_in_no_message() -> None:
    assert "hunter 22" not in mistake(with_section("flags: {override: {token: 'hunter 22'}}"))


@pytest.mark.parametrize("field", ["X-Feature-A", "x-feature-", "X_Feature_A", "x-FEATURE_a"])
def test_fields_that_only_the_gateway_says(field: str) -> None:
    assert is_own(field)


@pytest.mark.parametrize("field", ["X-Feature", "X-Features-A", "Feature-A"])
def test_fields_that_anybody_may_say(field: str) -> None:
    assert not is_own(field)
