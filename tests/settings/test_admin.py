"""The admin listener's section: without a token it is for this machine only, and the token is nowhere shown."""

from __future__ import annotations

import pytest

from gateway.settings import Address, Admin
from tests.settings.configs import SMALLEST, mistakes, read


def admin(text: str, **env: str) -> Admin:
    found = read(f"{SMALLEST}admin: {text}\n", env).admin
    assert found is not None
    return found


def test_a_token_opens_it_to_other_machines() -> None:
    found = admin('{bind: 0.0.0.0:9091, token: "${T}"}', T="abc-._~+/09==")
    assert found.bind == Address("0.0.0.0", 9091)
    assert found.token is not None
    assert found.token.get_secret_value() == "abc-._~+/09=="
    assert "abc" not in repr(found)


@pytest.mark.parametrize("bind", ["127.0.0.1:1", "127.8.9.10:1", "'[::1]:1'", "localhost:1"])
def test_loopback_needs_none(bind: str) -> None:
    assert admin(f"{{bind: {bind}}}").token is None
    assert admin(f'{{bind: {bind}, token: "${{T:-}}"}}').token is None


@pytest.mark.parametrize("bind", ["0.0.0.0:1", "':1'", "'[::]:1'", "10.0.0.1:1", "gateway.internal:1"])
@pytest.mark.parametrize("token", ["", ', token: ""', ', token: "${T:-}"'])
def test_without_a_token_it_binds_to_loopback_only(bind: str, token: str) -> None:
    assert mistakes(f"{SMALLEST}admin: {{bind: {bind}{token}}}\n") == [
        "6:15: without a token the admin listener binds to loopback only, as in 127.0.0.1:9091"
    ]


@pytest.mark.parametrize("token", ["with space", "späß", "a=b", '"', "x" * 1025])
def test_a_token_that_no_header_could_carry_is_refused_and_not_shown(token: str) -> None:
    found = mistakes(f'{SMALLEST}admin: {{bind: 0.0.0.0:1, token: "${{T}}"}}\n', {"T": token})
    assert found == ["6:33: a token is 1 to 1024 letters, digits and -._~+/ with perhaps = at its end"]


def test_it_cannot_listen_where_another_does() -> None:
    assert mistakes(f"{SMALLEST}metrics: {{bind: ':9091'}}\n") == [
        "6:17: metrics and admin cannot both listen on port 9091"
    ]
