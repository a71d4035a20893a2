"""How values are written: what is read, what is refused and with which hint, and that writing reads back."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policies.correlation import field_name
from gateway.settings import values
from gateway.settings.mistakes import Filled
from gateway.settings.pattern import parse_pattern, parse_prefix
from gateway.settings.types import Choice, parse_name
from gateway.settings.values import Address, Url

PARSERS = [
    values.parse_duration,
    values.parse_size,
    values.parse_share,
    values.parse_integer,
    values.parse_boolean,
    values.parse_address,
    values.parse_host,
    values.parse_network,
    values.parse_url,
]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("1d", 86400),
        ("0", 0),
        ("0s", 0),
        ("1.5s", 1.5),
        ("366d", 366 * 86400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert values.parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("60", "has no unit: write ms, s, m, h or d"),
        ("012", "has no unit"),
        ("1:30", "write one number and its unit, as in 90s"),
        ("1m30s", "is not a duration"),
        ("-1s", "is not a duration"),
        ("1 s", "is not a duration"),
        ("1S", "is not a duration"),
        ("", "is not a duration"),
        ("٣s", "is not a duration"),
        ("1e3s", "is not a duration"),
        ("infs", "is not a duration"),
        ("30s\n", "is not a duration"),
        ("367d", "longer than a year"),
        ("999999999999d", "longer than a year"),
    ],
)
def test_what_is_no_duration(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        values.parse_duration(text)


@given(st.integers(0, 366 * 86_400_000))
def test_durations_read_back(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert values.parse_duration(values.format_duration(seconds)) == seconds


@given(st.integers(1, 999_999))
def test_durations_read_back_to_the_microsecond(microseconds: int) -> None:
    seconds = microseconds / 1_000_000
    assert values.parse_duration(values.format_duration(seconds)) == pytest.approx(seconds, abs=1e-9)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0"), (0.25, "250ms"), (90, "90s"), (300, "5m"), (86400, "1d")])
def test_durations_are_written_in_the_largest_unit(seconds: float, text: str) -> None:
    assert values.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500B", 500), ("64KiB", 65536), ("10MiB", 10 << 20), ("1GiB", 1 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert values.parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("64", "has no unit: write B, KiB"),
        ("64KB", "units are B, KiB"),
        ("64k", "units are B, KiB"),
        ("1.5MiB", "behind a whole number"),
        ("64 KiB", "behind a whole number"),
        ("-1B", "is not a size"),
        ("much", "is not a size"),
        ("999999999999GiB", "too large"),
    ],
)
def test_what_is_no_size(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        values.parse_size(text)


@given(st.integers(0, 1 << 39))
def test_sizes_read_back(size: int) -> None:
    assert values.parse_size(values.format_size(size)) == size


@given(st.integers(0, 100_000))
def test_shares_read_back(thousandths: int) -> None:
    share = thousandths / 100_000
    assert values.parse_share(values.format_share(share)) == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize("text", ["20", "0.2", "20 %", "-1%", "101%", "%", "1e1%"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a share, as in 20%|more than 100%"):
        values.parse_share(text)


@given(st.integers(-(10**16) + 1, 10**16 - 1))
def test_integers_read_back(number: int) -> None:
    assert values.parse_integer(str(number)) == number


@pytest.mark.parametrize("text", ["012", "-01"])
def test_a_leading_zero_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="begins with a zero"):
        values.parse_integer(text)


@pytest.mark.parametrize("text", ["", "1.0", "1_000", "0x10", "0o17", "1e3", "٣", "yes", "1" * 5000, " 1"])
def test_what_is_no_integer(text: str) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        values.parse_integer(text)


@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "1", "y", ""])
def test_yaml_1_1_words_are_no_booleans(text: str) -> None:
    with pytest.raises(ValueError, match="neither true nor false"):
        values.parse_boolean(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8080", Address("0.0.0.0", 8080)),
        (":8080", Address("", 8080)),
        ("[::]:8080", Address("::", 8080)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert values.parse_address(text) == address


@given(
    st.one_of(st.just(""), st.just("gateway.internal"), st.ip_addresses().map(str)).filter(
        lambda host: "%" not in host
    ),
    st.integers(0, 65535),
)
def test_addresses_read_back(host: str, port: int) -> None:
    assert values.parse_address(str(Address(host, port))) == Address(host, port)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("8080", "address and port"),
        ("localhost", "address and port"),
        ("localhost:http", "address and port"),
        ("localhost:٣", "address and port"),
        ("localhost:65536", "ports end at 65535"),
        ("::1:8080", "goes in brackets"),
        ("[localhost]:80", "no IPv6 address in its brackets"),
        ("[1.2.3.4]:80", "no IPv6 address in its brackets"),
        ("1.2.3:80", "no valid host"),
        ("300.1.1.1:80", "no valid host"),
        ("a b:80", "no valid host"),
        ("http://x:80", "goes in brackets|no valid host"),
    ],
)
def test_what_is_no_address(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        values.parse_address(text)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("0.0.0.0:1", "127.0.0.1:1", True),
        (":1", "[::1]:1", True),
        ("localhost:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_overlap(one: str, other: str, both: bool) -> None:
    first, second = values.parse_address(one), values.parse_address(other)
    assert first.overlaps(second) is both
    assert second.overlaps(first) is both


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.9", True), ("::1", True), ("localhost", True), ("", False), ("0.0.0.0", False), ("app", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert Address(host, 1).loopback is loopback


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 32))
def test_networks_read_back(address: ipaddress.IPv4Address | ipaddress.IPv6Address, prefix: int) -> None:
    network = ipaddress.ip_network(f"{address}/{prefix}".replace("%", ""), strict=False)
    assert values.parse_network(str(network)) == network


def test_one_address_is_a_network() -> None:
    assert values.parse_network("10.1.2.3") == ipaddress.ip_network("10.1.2.3/32")


def test_bits_behind_the_prefix() -> None:
    with pytest.raises(ValueError, match=r"its network would be '10\.0\.0\.0/8'"):
        values.parse_network("10.1.1.1/8")


@pytest.mark.parametrize("text", ["private", "10.0.0.0/33", "10.0.0/8", ""])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IP network"):
        values.parse_network(text)


@pytest.mark.parametrize(
    ("text", "parts", "authority"),
    [
        ("http://127.0.0.1:3000", ("http", "127.0.0.1", 3000, ""), "127.0.0.1:3000"),
        ("https://API.example.com/v1/", ("https", "api.example.com", 443, "/v1"), "api.example.com"),
        ("http://my_app", ("http", "my_app", 80, ""), "my_app"),
        ("https://x:80/", ("https", "x", 80, ""), "x:80"),
        ("http://[::1]:3000/a/b", ("http", "::1", 3000, "/a/b"), "[::1]:3000"),
    ],
)
def test_urls(text: str, parts: tuple[str, str, int, str], authority: str) -> None:
    url = values.parse_url(text)
    assert (url.scheme, url.host, url.port, url.path) == parts
    assert url.authority == authority
    assert isinstance(url, Url)
    assert values.parse_url(url) == url


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("localhost:3000", "must begin with http"),
        ("ftp://x", "must begin with http"),
        ("http://", "must begin with http"),
        ("http:///path", "must begin with http"),
        ("http://u:hunter2@x", "must not hold a user or password"),
        ("http://x?a=hunter2", "must not hold a query"),
        ("http://x/#hunter2", "must not hold a query or a fragment"),
        ("http://x:0", "host or port"),
        ("http://x:", "host or port"),
        ("http://x:99999", "host or port"),
        ("http://x:a", "host or port"),
        ("http://[::1", "host or port"),
        ("http://[::1%eth0]", "host or port"),
        ("http://1.2.3", "host or port"),
        ("http://x..y", "host or port"),
        ("http://x/a b", "a character that a URL cannot have"),
        ("http://ä", "a character that a URL cannot have"),
        ("http://x/a\r\nHost: y", "a character that a URL cannot have"),
        ("http://x/a//b", "base path"),
        ("http://x/../b", "base path"),
        ("http://x/a\\b", "base path"),
    ],
)
def test_what_is_no_url(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint) as raised:
        values.parse_url(text)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("parser", PARSERS)
@given(text=st.text(max_size=40))
def test_a_parser_reads_or_says_why_on_one_line(parser: object, text: str) -> None:
    assert callable(parser)
    message = ""
    try:
        parser(text)
    except ValueError as error:
        message = str(error)
    assert message.isprintable()


SECRETS = [
    "hunter 2",
    "/:hunter-2",
    "/hunter2/*",
    "/hunter2//",
    "/{hunter2}",
    "hunter2:99999",
    "http://hunter2@",
    "hunter2/8",
]


@pytest.mark.parametrize(
    "parser", [*PARSERS, parse_pattern, parse_prefix, parse_name, field_name, Choice(words=("a",)).parse]
)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_message_never_shows_what_a_variable_held(parser: object, secret: str) -> None:
    assert callable(parser)
    message = ""
    try:
        parser(Filled(secret, "${PASSWORD:-hunter2}"))
    except ValueError as error:
        message = str(error)
    assert "hunter" not in message
