"""The presets hold what teams run with today, and put a key where each provider looks for it."""

from urllib.parse import urlsplit

import pytest

from gateway.providers import PRESETS

NAMES = ["openai", "anthropic", "huggingface", "fal", "comfyui", "duitku"]


def test_presets_are_known_by_their_own_name() -> None:
    assert sorted(PRESETS) == sorted(NAMES)
    assert all(preset.name == name for name, preset in PRESETS.items())


@pytest.mark.parametrize(
    ("name", "failures", "reset"),
    [
        ("openai", 5, 60),
        ("anthropic", 5, 60),
        ("huggingface", 5, 60),
        ("fal", 5, 60),
        ("comfyui", 3, 30),
        ("duitku", 3, 120),
    ],
)
def test_breaker(name: str, failures: int, reset: float) -> None:
    breaker = PRESETS[name].breaker
    assert breaker["failures"] == failures
    assert breaker["reset"] == reset
    assert breaker["statuses"] == (429, 500, 502, 503, 504)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("openai", ((b"Authorization", b"Bearer sk-1"),)),
        ("anthropic", ((b"x-api-key", b"sk-1"),)),
        ("huggingface", ((b"Authorization", b"Bearer sk-1"),)),
        ("fal", ((b"Authorization", b"Key sk-1"),)),
        ("comfyui", ((b"Authorization", b"Bearer sk-1"),)),
        ("duitku", ()),
    ],
)
def test_key_travels_where_the_provider_looks(name: str, fields: tuple[tuple[bytes, bytes], ...]) -> None:
    assert PRESETS[name].auth("sk-1") == fields


@pytest.mark.parametrize("name", NAMES)
def test_every_field_that_carries_the_key_also_displaces_the_clients(name: str) -> None:
    """Or a request would go out with two keys in it."""
    preset = PRESETS[name]
    assert {field.lower() for field, _ in preset.auth("sk-1")} <= set(preset.credentials)
    assert all(field == field.lower() for field in preset.credentials)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "duitku"])
@pytest.mark.parametrize("key", ["", "sk 1", "sk-1\n", "sk-1\r\nX-Admin: yes", "sk-\x00", "sk-\xe9", "ключ"])
def test_unfit_key_is_refused_without_being_repeated(name: str, key: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII") as caught:
        PRESETS[name].auth(key)
    assert not key or key not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", NAMES)
def test_url_is_an_origin_over_tls_or_the_users_to_give(name: str) -> None:
    url = urlsplit(PRESETS[name].url)
    if name == "comfyui":
        assert PRESETS[name].url == ""
        return
    assert url.scheme == "https"
    assert url.path == ""
    assert url.query == ""


@pytest.mark.parametrize("name", NAMES)
def test_timeouts_are_whole_and_idle_and_total_fit_together(name: str) -> None:
    timeout = PRESETS[name].timeout
    assert set(timeout) == {"connect", "headers", "idle", "total"}
    assert 0 < timeout["connect"] < timeout["headers"]
    assert timeout["idle"] > 0, "a stalled answer always ends"
    assert timeout["total"] is False or timeout["total"] >= timeout["headers"]


@pytest.mark.parametrize("name", NAMES)
def test_presets_cannot_be_changed_by_whoever_reads_them(name: str) -> None:
    preset = PRESETS[name]
    with pytest.raises(TypeError):
        preset.timeout["total"] = 1.0  # type: ignore[index]
    with pytest.raises(TypeError):
        preset.breaker["failures"] = 1  # type: ignore[index]
