"""`upstreams:` defaults, presets under what the file says, keys, and what each key refuses."""

from __future__ import annotations

import pytest

from gateway.policies.breaker import Breaker
from gateway.policies.timeout import Timeout
from gateway.providers import PRESETS
from gateway.settings import Pool, Tls, Upstream, Url
from tests.settings.configs import mistake, mistakes, of_upstream, read


def upstream(**keys: str) -> Upstream:
    return read(of_upstream(**keys)).upstreams["app"]


def test_defaults() -> None:
    assert upstream(url="http://127.0.0.1:3000") == Upstream(
        url=Url("http://127.0.0.1:3000"),
        preset=None,
        api_key=None,
        timeout=Timeout(connect=1, headers=30, idle=30, total=None, tunnel=3600),
        breaker=Breaker(failures=5, reset=30, successes=3, statuses=frozenset(), share=None, window=30, min_calls=20),
        pool=Pool(connections=1000, idle=15, lifetime=300, wait=1, queue=1000),
        tls=Tls(verify=True, ca=None, server_name=None),
    )


def test_everything_written() -> None:
    app = upstream(
        url="https://10.0.0.1:8443/v2/",
        timeout="{connect: 100ms, headers: 1s, idle: 2s, total: false, tunnel: 1d}",
        breaker="{failures: 1, reset: 5s, successes: 1, statuses: [500, 503], share: 50%, window: 1m, min_calls: 10}",
        pool="{connections: 10, idle: 0, lifetime: false, wait: 0, queue: 0}",
        tls="{verify: false, ca: /ca.pem, server_name: api.example}",
    )
    assert (app.url.host, app.url.port, app.url.path) == ("10.0.0.1", 8443, "/v2")
    assert app.timeout == Timeout(connect=0.1, headers=1, idle=2, total=None, tunnel=86400)
    assert app.breaker == Breaker(
        failures=1, reset=5, successes=1, statuses=frozenset({500, 503}), share=0.5, window=60, min_calls=10
    )
    assert app.pool == Pool(connections=10, idle=0, lifetime=None, wait=0, queue=0)
    assert app.tls == Tls(verify=False, ca="/ca.pem", server_name="api.example")


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_is_taken_whole(name: str) -> None:
    preset = PRESETS[name]
    written = {"preset": name} if preset.url else {"preset": name, "url": "http://127.0.0.1:8188"}
    app = upstream(**written)
    assert app.preset == name
    assert app.url == (preset.url or "http://127.0.0.1:8188")
    for key, seconds in preset.timeout.items():
        assert getattr(app.timeout, key) == (None if seconds is False else seconds)
    assert app.breaker is not None
    for key, value in preset.breaker.items():
        found = getattr(app.breaker, key)
        assert (tuple(sorted(found)) if isinstance(found, frozenset) else found) == value


def test_what_is_written_wins_over_the_preset_key_by_key() -> None:
    app = upstream(
        preset="openai", url="http://stand-in:1", timeout="{headers: 7s}", breaker="{failures: 9, statuses: []}"
    )
    assert app.url == "http://stand-in:1"
    assert (app.timeout.headers, app.timeout.connect, app.timeout.total) == (
        7,
        PRESETS["openai"].timeout["connect"],
        None,
    )
    assert app.breaker is not None
    assert (app.breaker.failures, app.breaker.reset, app.breaker.statuses) == (9, 60, frozenset())


@pytest.mark.parametrize(("written", "total"), [("30s", 30), ("{}", None), ("{total: 1s}", 1)])
def test_a_short_timeout_leaves_the_presets_others(written: str, total: float | None) -> None:
    app = upstream(preset="openai", timeout=written)
    assert (app.timeout.total, app.timeout.connect) == (total, PRESETS["openai"].timeout["connect"])


@pytest.mark.parametrize("preset", [{"preset": "openai"}, {"url": "http://x"}])
def test_false_is_none_with_a_preset_and_without(preset: dict[str, str]) -> None:
    app = upstream(**preset, timeout="false", breaker="false")
    assert app.timeout == Timeout(connect=None, headers=None, idle=None, total=None, tunnel=None)
    assert app.breaker is None


@pytest.mark.parametrize("written", ["''", '"${KEY:-}"', "${KEY:-}"])
def test_an_empty_key_is_none(written: str) -> None:
    assert upstream(preset="openai", api_key=written).api_key is None
    assert upstream(url="http://x", api_key=written).api_key is None


def test_a_key_is_not_shown() -> None:
    app = upstream(preset="openai", api_key="hunter2")
    assert app.api_key is not None
    assert app.api_key.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(app) + str(app) + app.model_dump_json()


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (
            {"url": "localhost:3000"},
            ["6:10: the URL must begin with http:// or https:// and name a host, as in http://127.0.0.1:3000"],
        ),
        ({"pool": "{}"}, ["5:3: needs url"]),
        ({"preset": "comfyui"}, ["5:3: needs url"]),
        ({"preset": "hugginface"}, ["6:13: 'hugginface' is not known; did you mean 'huggingface'?"]),
        (
            {"preset": "openai", "api_key": "hunter 2"},
            ["7:14: an API key is one or more visible ASCII characters, without spaces or line ends"],
        ),
        (
            {"preset": "openai", "api_key": '"hunter\\n2"'},
            ["7:14: an API key is one or more visible ASCII characters, without spaces or line ends"],
        ),
        ({"preset": "openai", "api_key": "[hunter2]"}, ["7:14: must be one value, not a list"]),
        ({"url": "http://x", "api_key": "hunter2"}, ["7:14: an api_key needs a preset, which says how it is sent"]),
        (
            {"preset": "zzz", "api_key": "hunter2"},
            ["6:13: 'zzz' is not known; known: anthropic, comfyui, duitku, fal, huggingface, openai"],
        ),
        ({"url": "http://hunter2@x"}, ["6:10: the URL must not hold a user or password"]),
        (
            {"preset": "openai", "timeout": "60"},
            ["7:14: '60' has no unit: write ms, s, m, h or d behind the number, as in 30s"],
        ),
        ({"preset": "openai", "timeout": "{totl: 60s}"}, ["7:15: unknown key 'totl'; did you mean 'total'?"]),
        ({"preset": "openai", "breaker": "true"}, ["7:14: must be a mapping (key: value)"]),
        ({"preset": "openai", "breaker": "{failures: no}"}, ["7:25: 'no' is not a whole number"]),
        ({"url": "http://x", "breaker": "{statuses: [200]}"}, ["7:26: '200' is out of range: 400 to 999"]),
        ({"url": "http://x", "breaker": "{share: 20}"}, ["7:22: '20' is not a share, as in 20%"]),
        ({"url": "http://x", "breaker": "{statuses: 500}"}, ["7:25: must be a list, as in [one, two]"]),
        ({"url": "http://x", "tls": "{verify: no}"}, ["7:19: 'no' is neither true nor false"]),
        (  # no name that DNS can have, nor a certificate
            {"url": "http://x", "tls": f"{{server_name: {'a' * 64}.example}}"},
            [f"7:24: '{'a' * 59}…' has no valid host name or IP address"],
        ),
        ({"url": "http://x", "tls": "{server_name: 'a b'}"}, ["7:24: 'a b' has no valid host name or IP address"]),
        ({"url": "http://x", "retry": "{attempts: 2}"}, ["7:5: retry is not supported yet"]),
        (
            {"url": "http://x", "retrry": "{}"},
            ["7:5: unknown key 'retrry'; retry would be near, which is not supported yet"],
        ),
        ({"url": "http://x", "api_kay": "hunter2"}, ["7:5: unknown key 'api_kay'; did you mean 'api_key'?"]),
    ],
)
def test_what_an_upstream_refuses(keys: dict[str, str], found: list[str]) -> None:
    assert mistakes(of_upstream(**keys)) == found
    assert "hunter" not in "".join(found)


def test_names_of_upstreams() -> None:
    text = "ingress: {routes: [{path: /**, upstream: app}]}\nupstreams:\n  app: {url: http://x}\n  größe: {url: http://x}\n"
    assert "4:3: 'größe' cannot be a name" in mistake(text)
