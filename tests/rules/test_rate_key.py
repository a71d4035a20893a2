"""Keys: whom they tell apart, whom they do not, and what of a request they may hold."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exchange import Exchange
from gateway.rules import rate_key
from gateway.rules.rate_key import EVERYBODY, IP, LONGEST, NONE, ROUTE, Term
from gateway.rules.request_head import Interest
from tests.support.exchanges import exchange

USER = Term("header", "X-User-Id")
TENANT = Term("header", "X-Tenant")
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=90).map(
    lambda text: text.strip(" ").encode("latin-1")
)


def asked(
    by: Sequence[Term], fields: Sequence[tuple[bytes, bytes]] = (), *, target: bytes = b"/", client: str = "192.0.2.1"
) -> Exchange:
    """An exchange of a listener that notes what these read."""
    interest = Interest("X-Correlation-ID", ingress=True, also=rate_key.fields(by))
    return exchange(target=target, fields=fields, interest=interest, peer=client)


def key(
    by: Sequence[Term],
    fields: Sequence[tuple[bytes, bytes]] = (),
    *,
    target: bytes = b"/",
    client: str = "192.0.2.1",
    pattern: str = "/**",
    share: bool = True,
    ipv6_prefix: int = 64,
) -> bytes | None:
    read = rate_key.reader(by, pattern, share=share, ipv6_prefix=ipv6_prefix)
    return read(asked(by, fields, target=target, client=client))


def test_a_route_has_one_key() -> None:
    assert key([ROUTE]) == key([ROUTE], client="192.0.2.2") == EVERYBODY
    assert rate_key.is_constant([ROUTE])
    assert not rate_key.is_constant([ROUTE, IP])
    assert key([ROUTE, IP]) == b"192.0.2.1"


# ---- addresses


@pytest.mark.parametrize(
    ("client", "prefix", "found"),
    [
        ("192.0.2.1", 64, b"192.0.2.1"),
        ("::ffff:192.0.2.1", 64, b"192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", 64, b"2001:db8:1:2::/64"),
        ("2001:DB8:1:2::1", 64, b"2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", 48, b"2001:db8:1::/48"),
        ("2001:db8:1:2::1", 128, b"2001:db8:1:2::1"),
        ("fe80::1%eth0", 64, b"fe80::/64"),
        ("::1", 64, b"::/64"),
    ],
)
def test_an_address(client: str, prefix: int, found: bytes) -> None:
    assert key([IP], client=client, ipv6_prefix=prefix) == found


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1))
def test_a_host_cannot_choose_among_its_addresses(address: int, other: int) -> None:
    same_network = (address >> 64 << 64) | other
    one, another = (str(IPv6Address(number)) for number in (address, same_network))
    if IPv6Address(address).ipv4_mapped is None and IPv6Address(same_network).ipv4_mapped is None:
        assert key([IP], client=one) == key([IP], client=another)


def test_what_is_no_address_is_a_key_all_the_same() -> None:
    assert key([IP], client="") == NONE
    assert key([IP], client="a:b") == b"a:b"


# ---- header fields


def test_a_header_field_stands_as_it_is() -> None:
    assert key([USER], [(b"x-user-id", b"u 1|%~x")]) == b"u 1|%~x"
    assert key([USER], [(b"X-User-Id", b" u1\t")]) == b"u1"


def test_several_lines_are_one_list() -> None:
    assert key([USER], [(b"X-User-Id", b"a"), (b"X-User-Id", b"b")]) == b"a,b"


@pytest.mark.parametrize("value", [b"x" * (LONGEST + 1), b"a\tb", b"\xe9", b"~", b"~0123456789abcdef"])
def test_what_is_long_or_odd_stands_as_its_hash(value: bytes) -> None:
    found = key([USER], [(b"X-User-Id", value)])
    assert found == rate_key.hashed(value)
    assert found is not None
    assert len(found) == 17
    assert key([USER], [(b"X-User-Id", value + b"x")]) != found


@given(TEXTS, TEXTS)
def test_values_that_differ_have_keys_that_differ(one: bytes, other: bytes) -> None:
    first, second = (key([USER], [(b"X-User-Id", value)]) for value in (one, other))
    assert (first == second) == (one == other)
    for found in (first, second):
        assert found is not None
        assert len(found) <= LONGEST
        assert found.decode("ascii").isprintable()


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Api-Key", "X-Session", "Proxy-Authorization", "my-SECRET", "cookie"]
)
def test_a_credential_stands_as_its_hash(name: str) -> None:
    found = key([Term("header", name)], [(name.encode(), b"hunter2")])
    assert found == rate_key.hashed(b"hunter2")


# ---- cookies, claims, parameters


def test_a_cookie_stands_as_its_hash() -> None:
    by = [Term("cookie", "sid")]
    assert key(by, [(b"Cookie", b"a=1; sid=hunter2")]) == rate_key.hashed(b"hunter2")
    assert key(by, [(b"Cookie", b"a=1")]) == key(by) == NONE


def test_a_claim_stands_as_its_hash() -> None:
    by = [Term("jwt", "sub")]
    claims = base64.urlsafe_b64encode(json.dumps({"sub": "u1"}).encode()).rstrip(b"=")
    token = b"Bearer e30." + claims + b".x"
    assert key(by, [(b"Authorization", token)]) == rate_key.hashed(b"u1")
    assert key(by, [(b"Authorization", b"Bearer x")]) == NONE


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (b"/users/7/files", b"7"),
        (b"/users/%37/files", b"7"),
        (b"//users/./7/files?id=8", b"7"),
        (b"/users/a%2Fb/files", b"a%2Fb"),
        (b"/users/%00/files", rate_key.hashed(b"\x00")),
        (b"/users", NONE),
    ],
)
def test_a_parameter_is_the_segment_in_its_place(target: bytes, found: bytes) -> None:
    assert key([Term("path", "id")], target=target, pattern="/users/:id/**") == found


def test_a_parameter_must_be_in_the_pattern() -> None:
    with pytest.raises(ValueError, match="no :name"):
        rate_key.reader([Term("path", "name")], "/users/:id")


# ---- lists, and what is missing


def test_several_parts_make_one_key() -> None:
    assert key([IP, USER], [(b"X-User-Id", b"u1")]) == b"192.0.2.1|u1"


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_no_two_pairs_have_one_key(a: bytes, b: bytes, c: bytes, d: bytes) -> None:
    def both(one: bytes, other: bytes) -> bytes | None:
        return key([USER, TENANT], [(b"X-User-Id", one), (b"X-Tenant", other)])

    assert (both(a, b) == both(c, d)) == ((a, b) == (c, d))


@pytest.mark.parametrize("term", [USER, Term("cookie", "sid"), Term("jwt", "sub")])
def test_a_missing_part_is_shared_or_none(term: Term) -> None:
    assert key([term]) == NONE
    assert key([term], share=False) is None
    assert key([IP, term]) == b"192.0.2.1|" + NONE
    assert key([IP, term], share=False) is None


def test_an_empty_value_is_missing() -> None:
    assert key([USER], [(b"X-User-Id", b" ")], share=False) is None


def test_nobody_can_send_what_stands_for_none() -> None:
    assert key([USER], [(b"X-User-Id", NONE)]) != NONE


# ---- what a listener has to know


def test_user_stands_for_what_the_listener_says() -> None:
    assert rate_key.resolve([IP, Term("user")], USER) == (IP, USER)


def test_the_fields_that_are_read() -> None:
    by = [IP, ROUTE, USER, Term("cookie", "sid"), Term("jwt", "sub"), Term("path", "id")]
    assert rate_key.fields(by) == {b"x-user-id", b"cookie", b"authorization"}


def test_a_key_can_be_shown_and_written() -> None:
    found = key([IP, USER], [(b"X-User-Id", b"a|b%")])
    assert found is not None
    assert rate_key.shown(found).encode() == found


def test_a_key_may_be_given_as_the_client_sends_it() -> None:
    """An operator who blocks an API key knows the key, and not what it is kept as."""
    key = Term("header", "X-Api-Key")
    assert (
        rate_key.given([key], "k77")
        == rate_key.hashed(b"k77")
        == rate_key.given([key], rate_key.hashed(b"k77").decode())
    )
    assert rate_key.given([Term("jwt", "sub")], "u9") == rate_key.hashed(b"u9")
    assert rate_key.given([Term("header", "X-User-Id")], "u9") == b"u9"
    assert rate_key.given([Term("ip")], "2001:db8::/64") == b"2001:db8::/64"
    assert rate_key.given([Term("ip"), key], "192.0.2.1|~0") == b"192.0.2.1|~0"
    assert rate_key.given([Term("route")], "") == b"*"
    assert rate_key.given([Term("ip")], "") == b"~"
