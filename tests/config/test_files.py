"""Every config file that comes with the gateway is right, and says what it promises to say."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway import settings
from gateway.demo import CONFIG
from gateway.policies import cache
from gateway.policies.breaker import Breaker
from gateway.policies.cache import Cache
from gateway.rules.flags.context import Context
from gateway.rules.flags.definition import compiled
from gateway.rules.flags.flag_set import FlagSet
from gateway.rules.storable import Asker, personal

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "config").rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_loads_without_mistake_or_warning(path: Path) -> None:
    assert settings.warnings(settings.load(str(path), {})) == []


def test_there_are_files_to_load() -> None:
    assert {path.name for path in FILES} >= {
        "gateway.yaml",
        "providers.yaml",
        "health-checks.yaml",
        "guest-quotas.yaml",
        "user-limits.yaml",
        "cached-app.yaml",
        "cached-providers.yaml",
        "feature-flags.yaml",
    }


def limits(name: str) -> dict[str, list[str]]:
    """An example's rules in words, by route; its listener's under its name."""
    ingress = settings.load(str(ROOT / "config/examples" / name), {}).ingress
    assert ingress is not None
    found = {"ingress": ingress.rate_limit, **{route.name: route.rate_limit for route in ingress.routes}}
    return {key: [str(rule) for rule in rules] for key, rules in found.items() if rules}


def test_health_endpoints_are_limited_for_each_address() -> None:
    assert limits("health-checks.yaml") == {
        "health": ["60/min, by ip"],
        "readiness": ["60/min, by ip"],
        "health-details": ["30/min, by ip"],
    }


def test_guests_have_less_a_day_than_users() -> None:
    found = limits("guest-quotas.yaml")
    assert found["guest-generate"][0] == "5/calendar-day, Europe/Berlin, by cookie:guest_id"
    assert "200/calendar-day, Europe/Berlin, by user" in found["generate"]


def test_users_who_do_not_stop_are_blocked() -> None:
    assert "20/min, burst 5, by user, blocks after 20 in 1m for 10m" in limits("user-limits.yaml")["chat"]


def caches(listener: settings.Listener | None) -> dict[str, Cache]:
    """What holds on the routes that have a cache."""
    assert listener is not None
    found = {route.name: cache.resolve(listener, route) for route in listener.routes}
    return {name: one for name, one in found.items() if one is not None}


def test_an_apps_answers_are_kept_as_long_as_they_are_good_for() -> None:
    loaded = settings.load(str(ROOT / "config/examples/cached-app.yaml"), {})
    found = caches(loaded.ingress)
    assert {name: one.ttl for name, one in found.items()} == {"models": 3600, "profile": 60, "public": 14_400}
    somebody = Asker(authorization=True, cookie=True)
    assert not personal(somebody, found["models"].sharing())
    assert not personal(somebody, found["profile"].sharing())
    assert personal(somebody, found["public"].sharing()), "so its route lets nobody's credentials through"
    recipe = found["profile"].cache_key()
    users = [{b"authorization": [b"Bearer a"]}, {b"authorization": [b"Bearer b"]}, {b"cookie": [b"session=a"]}]
    keys = {recipe.of(b"GET", b"https", b"a", b"/", b"", lambda name, own=own: own.get(name, [])) for own in users}
    assert len(keys) == len(users)


def test_public_data_is_asked_for_without_the_callers_credentials() -> None:
    ingress = settings.load(str(ROOT / "config/examples/cached-app.yaml"), {}).ingress
    assert ingress is not None
    (public,) = [route for route in ingress.routes if route.name == "public"]
    assert public.headers is not None
    assert {*public.headers.request.remove} == {"Authorization", "Cookie"}


def test_providers_answers_are_kept_by_what_was_asked_and_by_whom() -> None:
    found = caches(settings.load(str(ROOT / "config/examples/cached-providers.yaml"), {}).egress)
    by_content = {name: one for name, one in found.items() if "POST" in one.methods}
    assert {*by_content} == {"embeddings", "completions", "messages", "huggingface"}
    assert all(one.body is not None and one.credentials for one in by_content.values())
    assert all(one.ttl for one in found.values())


def said(flags: FlagSet, **known: Any) -> dict[str, str]:
    """What an example's flags say to somebody, in the app's words; None is not known."""
    asked = Context(environment="production", now=0.0, random="0", **known)
    answers = {name: flag.evaluate(asked) for name, flag in flags.flags.items()}
    return {
        name: answer.variant.name if answer.variant else ["off", "on"][answer.on] for name, answer in answers.items()
    }


def test_an_apps_usual_flags_say_what_they_promise() -> None:
    section = settings.load(str(ROOT / "config/examples/feature-flags.yaml"), {}).flags
    flags = compiled(section.define, section.segments, known=section.context.known)
    nobody, first = said(flags), said(flags, user="u1")
    assert (first["NEW_NAVIGATION"], first["CHECKOUT"]) in [("on", "one-page"), ("on", "off")]
    paying = said(flags, user="u2", groups=["beta_tester"], properties={"plan": "pro"})
    assert [one["AI_IMAGES"] for one in (nobody, first, paying)] == ["off", "off", "on"]
    assert [one["LARGE_UPLOADS"] for one in (nobody, first, paying)] == ["off", "off", "on"]
    assert paying["NEW_NAVIGATION"] == "on"
    assert nobody["ONBOARDING_TOUR"] == "on"
    assert said(flags, properties={"cookie:tour_done": "yes"})["ONBOARDING_TOUR"] == "off"
    for off in ("MAINTENANCE", "AI_COST_SAVING"):
        assert {one[off] for one in (nobody, first, paying)} == {"off"}
    several = [said(flags, user=f"user-{number}") for number in range(2000)]
    shares = {name: sum(one[name] != "off" for one in several) / 2000 for name in flags.flags}
    assert shares["NEW_SEARCH_SERVICE"] == pytest.approx(0.05, abs=0.02)
    assert shares["NEW_NAVIGATION"] == pytest.approx(0.25, abs=0.03)
    assert shares["CHECKOUT"] == pytest.approx(0.5, abs=0.04)
    assert sum(one["AI_MODEL"] == "large" for one in several) / 2000 == pytest.approx(0.1, abs=0.03)


def test_every_flag_of_the_example_is_of_use() -> None:
    """Each is told, required, or stands before something, or is asked by another."""
    text = (ROOT / "config/examples/feature-flags.yaml").read_text()
    config, _, definitions = text.partition("  define:\n")
    loaded = settings.load(str(ROOT / "config/examples/feature-flags.yaml"), {})
    assert [name for name in loaded.flags.define if name not in config] == []
    assert all(name in definitions for name in loaded.flags.define)


@pytest.mark.parametrize(
    ("name", "failures", "reset", "total"),
    [
        ("openai", 5, 60, 30),
        ("comfyui", 3, 30, 60),
        ("fal", 5, 60, 120),
        ("duitku", 3, 120, 15),
        ("huggingface", 5, 60, 60),
    ],
)
def test_providers_are_set_as_teams_run_them(name: str, failures: int, reset: float, total: float) -> None:
    loaded = settings.load(str(ROOT / "config/examples/providers.yaml"), {})
    upstream = loaded.upstreams[name]
    assert upstream.preset == name
    assert upstream.timeout.total == total
    assert isinstance(upstream.breaker, Breaker)
    assert (upstream.breaker.failures, upstream.breaker.reset) == (failures, reset)
    assert upstream.breaker.statuses == {429, 500, 502, 503, 504}
    assert upstream.api_key is None, "no key in the environment, none sent"
    assert loaded.egress is not None
    assert [route.path for route in loaded.egress.routes if route.upstream == name] in (
        [f"/{name}/**"],
        ["/hf/**"],
    )


def test_providers_take_their_keys_from_the_environment() -> None:
    names = {"openai": "OPENAI_API_KEY", "comfyui": "COMFYUI_API_KEY", "fal": "FAL_KEY", "huggingface": "HF_TOKEN"}
    loaded = settings.load(
        str(ROOT / "config/examples/providers.yaml"), {variable: f"key-{name}" for name, variable in names.items()}
    )
    for name in names:
        key = loaded.upstreams[name].api_key
        assert key is not None
        assert key.get_secret_value() == f"key-{name}"


def test_demo_runs_on_the_file_in_config() -> None:
    assert CONFIG == ROOT / "config/gateway.yaml"


def test_a_package_carries_a_copy_of_the_file() -> None:
    """Building follows the link; it has to be told to take the file at all."""
    link = ROOT / "gateway/demo/gateway.yaml"
    assert link.is_symlink()
    assert link.resolve() == ROOT / "config/gateway.yaml"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "demo/gateway.yaml" in project["tool"]["setuptools"]["package-data"]["gateway"]
