"""The presets wait as long as the providers' own SDKs do, which are asked here.

When an SDK changes its mind, this fails, and the preset is to follow.
"""

import anthropic
import openai
import pytest

from gateway.providers import PRESETS


@pytest.mark.parametrize(
    ("name", "connect", "read"),
    [
        ("openai", openai.DEFAULT_TIMEOUT.connect, openai.DEFAULT_TIMEOUT.read),
        ("anthropic", anthropic.DEFAULT_TIMEOUT.connect, anthropic.DEFAULT_TIMEOUT.read),
    ],
)
def test_preset_waits_as_long_as_the_sdk(name: str, connect: float, read: float) -> None:
    timeout = PRESETS[name].timeout
    assert timeout["connect"] == connect
    # An SDK's read timeout runs anew with every read, the one that waits for the headers too; it bounds no whole.
    assert timeout["headers"] == read
    assert timeout["idle"] == read
    assert timeout["total"] is False


def test_preset_calls_the_host_that_the_sdk_calls() -> None:
    with openai.OpenAI(api_key="sk-1") as client:
        assert f"{PRESETS['openai'].url}/v1/" == str(client.base_url)
    with anthropic.Anthropic(api_key="sk-1") as client:
        assert PRESETS["anthropic"].url == str(client.base_url).rstrip("/")


def test_the_sdks_own_credential_is_displaced() -> None:
    """What each SDK sends must be among the fields that a configured key takes off the request."""
    with openai.OpenAI(api_key="sk-1") as client:
        sent = {name.lower().encode() for name in client.auth_headers}
    assert sent
    assert sent <= set(PRESETS["openai"].credentials)
    with anthropic.Anthropic(api_key="sk-1") as client:
        sent = {name.lower().encode() for name in client.auth_headers}
    assert sent
    assert sent <= set(PRESETS["anthropic"].credentials)
