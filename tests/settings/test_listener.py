"""`ingress:` and `egress:` and their routes: defaults, names of routes, and what each key refuses."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gateway.policies.timeout import TimeoutOverride
from gateway.settings import Address, Egress, Ingress, Limits, Route
from tests.settings.configs import SMALLEST, UPSTREAMS, mistake, mistakes, of_route, read


def routes(*written: str) -> str:
    return "ingress:\n  routes:\n" + "".join(f"    - {route}\n" for route in written) + UPSTREAMS


def names(*written: str) -> list[str]:
    ingress = read(routes(*written)).ingress
    assert ingress is not None
    return [route.name for route in ingress.routes]


def test_defaults() -> None:
    settings = read(SMALLEST)
    assert settings.egress is None
    assert settings.ingress == Ingress(
        bind=Address("0.0.0.0", 8080),
        trusted_proxies=(),
        limits=Limits(),
        timeout=TimeoutOverride(),
        routes=(Route(name="/**", path="/**", upstream="app"),),
    )


def test_limits_are_those_of_the_contract() -> None:
    assert Limits() == Limits(
        connections=10000,
        request_line=8192,
        header_size=65536,
        header_count=128,
        header_timeout=10,
        body_timeout=30,
        body_rate=64,
        keep_alive=75,
        write_timeout=60,
        linger=2,
    )


def test_everything_written() -> None:
    settings = read("""
        ingress:
          bind: "[::1]:0"
          trusted_proxies: [10.0.0.0/8, "fd00::/8", 192.0.2.1]
          limits: {connections: 5, request_line: 4KiB, body_rate: 0, keep_alive: 0}
          timeout: 90s
          routes:
            - name: one
              path: /a/:id
              methods: [GET, M-SEARCH]
              upstream: app
              strip_prefix: /a
              timeout: {connect: false, total: 5s}
        egress: {routes: [{path: /**, upstream: app}]}
        upstreams: {app: {url: "http://x"}}
    """)
    ingress = settings.ingress
    assert ingress is not None
    assert ingress.bind == Address("::1", 0)
    assert ingress.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.1/32"))
    assert ingress.limits == Limits(connections=5, request_line=4096, body_rate=0, keep_alive=0)
    assert ingress.timeout == TimeoutOverride(total=90)
    (route,) = ingress.routes
    assert (route.name, route.path, route.methods) == ("one", "/a/:id", ("GET", "M-SEARCH"))
    assert (route.upstream, route.strip_prefix) == ("app", "/a")
    assert route.timeout == TimeoutOverride(connect=None, total=5)
    assert isinstance(settings.egress, Egress)
    assert settings.egress.bind == Address("127.0.0.1", 8081)


def test_a_route_is_named_after_its_pattern() -> None:
    assert names("{path: /a, upstream: app}", "{path: /b/:id, upstream: app, name: b}") == ["/a", "b"]


def test_names_of_the_same_pattern_have_the_methods_behind_them() -> None:
    assert names(
        "{path: /a, methods: [GET], upstream: app}",
        "{path: /a, methods: [PUT, POST], upstream: app}",
        "{path: /a, upstream: app}",
    ) == ["/a GET", "/a PUT,POST", "/a"]


def test_a_default_name_gives_way_to_a_written_one() -> None:
    assert names("{path: /a, upstream: app}", "{path: /b, upstream: app, name: /a}") == ["/a #2", "/a"]
    assert names("{path: /a, methods: [GET], upstream: app}", "{path: /b, upstream: app, name: /a}") == [
        "/a GET",
        "/a",
    ]


def test_default_names_are_short_and_differ() -> None:
    long = "/" + "a" * 200
    found = names(
        f"{{path: {long}, upstream: app}}", f"{{path: {long}b, upstream: app}}", f"{{path: {long}c, upstream: app}}"
    )
    assert len(set(found)) == 3
    assert all(len(name) <= 100 for name in found)


def test_a_name_may_be_what_yaml_takes_for_something_else() -> None:
    assert names("{path: /a, upstream: app, name: 404}", "{path: /b, upstream: app, name: no}") == ["404", "no"]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"name": "none"}, "'none' cannot be a name"),
        ({"path": "api"}, "does not begin with a slash"),
        ({"methods": "GET"}, "must be a list"),
        ({"methods": "[]"}, "needs at least one item"),
        ({"methods": "[get]"}, "'get' is not a method that the gateway knows; did you mean 'GET'?"),
        ({"methods": "[FETCH]"}, "'FETCH' is not a method"),
        ({"strip_prefix": "/x"}, "the route's path does not begin with this prefix"),
        ({"strip_prefix": "/x/"}, "ends in a slash"),
        ({"timeout": "60"}, "'60' has no unit"),
        ({"timeout": "0"}, "out of range: at least 1ms"),
        ({"timeout": "{total: 0}"}, "out of range: at least 1ms"),
        ({"timeout": "[1s]"}, "must be a mapping"),
        ({"timeout": "{totl: 1s}"}, "unknown key 'totl'; did you mean 'total'?"),
        ({"upstream": "{url: x}"}, "must be one value, not a mapping"),
        ({"upstream": ""}, "no value here"),
        ({"path": ""}, "no value here"),
        ({"name": "~"}, "no value here"),
        ({"methods": "[~]"}, "no value here"),
        ({"retry": "{attempts: 2}"}, "retry is not supported yet"),
        ({"flags": "{}"}, "must be one value, not a mapping"),
    ],
)
def test_what_a_route_refuses(keys: dict[str, str], found: str) -> None:
    only = mistake(of_route(**keys))
    assert only.startswith("3:")
    assert found in only


def test_what_a_route_needs() -> None:
    assert mistakes(routes("{name: a}")) == ["3:7: needs path", "3:7: needs upstream"]


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("bind: 8080", "3:9: '8080' is not an address and port, as in 127.0.0.1:8080, [::1]:8080 or :8080"),
        ("trusted_proxies: 10.0.0.0/8", "3:20: must be a list, as in [one, two]"),
        (
            "trusted_proxies: [10.0.0.1/8]",
            "3:21: '10.0.0.1/8' has bits set behind its prefix: its network would be '10.0.0.0/8'",
        ),
        (
            "limits: {header_size: 64}",
            "3:25: '64' has no unit: write B, KiB, MiB or GiB behind the number, as in 64KiB",
        ),
        ("limits: {connections: 0}", "3:25: '0' is out of range: 1 to 1000000"),
        ("limits: false", "3:11: must be a mapping (key: value)"),
        ("limts: {}", "3:3: unknown key 'limts'; did you mean 'limits'?"),
        ("in_flight: 0", "3:14: '0' is out of range: 1 to 1000000"),
        ("limits:", "3:3: no value here; leave the key out, or write {} for a section's defaults"),
    ],
)
def test_what_a_listener_refuses(written: str, found: str) -> None:
    text = SMALLEST.replace("ingress:\n", "ingress:\n  x: 1\n").replace("x: 1", written)
    assert mistakes(text) == [found.replace("3:", "2:", 1)]


@pytest.mark.parametrize("written", ["{}", "{routes: []}", "{routes: {}}", "[]", "yes"])
def test_a_listener_needs_routes(written: str) -> None:
    only = mistake(f"ingress: {written}\n{UPSTREAMS}")
    assert only.startswith("1:")


def test_the_number_of_routes_is_bounded() -> None:
    found = mistakes(routes(*(f"{{path: /{number}, upstream: app}}" for number in range(1001))))
    assert found == ["3:5: has more than 1000 items"]


def test_a_prefix_that_does_not_fit_shows_no_variable() -> None:
    found = mistakes(of_route(path='"/${KEY}"', strip_prefix="/api"), {"KEY": "hunter2"})
    assert found == ["3:54: the route's path does not begin with this prefix"]
