"""The whole: the short sections, what is not supported yet, and the settings as one value."""

from __future__ import annotations

import pytest

from gateway.policies.correlation import Correlation
from gateway.settings import Address, Admin, Drain, Log, Metrics
from tests.settings.configs import SMALLEST, UPSTREAMS, mistake, read, with_section


def test_defaults() -> None:
    settings = read(SMALLEST)
    assert settings.drain == Drain(delay=5, timeout=20)
    assert settings.correlation == Correlation(header="X-Correlation-ID", sampled=True)
    assert settings.metrics == Metrics(bind=Address("0.0.0.0", 9090))
    assert settings.admin == Admin(bind=Address("127.0.0.1", 9091), token=None)
    assert settings.log == Log(level="info", format="json", access=True)


def test_everything_written() -> None:
    settings = read(
        with_section("""\
            drain: {delay: 0, timeout: 1m}
            correlation: {header: X-Request-ID, sampled: false}
            metrics: {bind: ":9100"}
            log: {level: debug, format: text, access: false}
        """)
    )
    assert settings.drain == Drain(delay=0, timeout=60)
    assert settings.correlation == Correlation(header="X-Request-ID", sampled=False)
    assert settings.metrics == Metrics(bind=Address("", 9100))
    assert settings.log == Log(level="debug", format="text", access=False)


def test_sections_can_be_off() -> None:
    settings = read(
        "ingress: false\negress: {routes: [{path: /**, upstream: app}]}\nmetrics: false\nadmin: false\n" + UPSTREAMS
    )
    assert settings.ingress is None
    assert settings.metrics is None
    assert settings.admin is None


@pytest.mark.parametrize(
    ("section", "found"),
    [
        ("startup_wait: 2h", "6:15: '2h' is out of range: 0 to 1h"),
        ("upstream: {}", "6:1: unknown key 'upstream'; did you mean 'upstreams'?"),
        ("drain: 5s", "6:8: must be a mapping (key: value)"),
        ("drain: {delay: -1s}", "6:16: '-1s' is not a duration, as in 250ms, 30s, 5m, 1h or 1d"),
        ("drain: {delay: 2h}", "6:16: '2h' is out of range: 0 to 1h"),
        ("log: {level: verbose}", "6:14: 'verbose' is not known; known: debug, error, info, warning"),
        ("log: {level: warn}", "6:14: 'warn' is not known; did you mean 'warning'?"),
        ("correlation: {header: 'X Y'}", "6:23: not the name of a header field"),
        (
            "correlation: {header: traceparent}",
            "6:23: this field has a meaning of its own and cannot carry the correlation id",
        ),
        ("correlation: {sampled: on}", "6:24: 'on' is neither true nor false"),
        ("metrics: true", "6:10: must be a mapping (key: value)"),
        ("metrics:", "6:1: no value here; leave the key out, or write {} for a section's defaults"),
        ("<<: {}", "6:1: merge keys (<<) are not supported; an alias is, as a whole value"),
        ("? [a]\n: 1", "6:3: a key must be text"),
        ("ingress: {}", "6:1: 'ingress' is written twice, first in line 1"),
    ],
)
def test_what_is_refused(section: str, found: str) -> None:
    assert mistake(SMALLEST + section + "\n") == found


def test_equal_texts_make_equal_settings_and_others_do_not() -> None:
    assert read(SMALLEST) == read(SMALLEST)
    assert read(SMALLEST) != read(SMALLEST.replace("3000", "3001"))
